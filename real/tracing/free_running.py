"""Follow two models that generate on their own, step by step, and split their distance by cause.

At step t the dense model has written x_<t and sees p(.|x_<t); the pruned one has written y_<t and sees
q(.|y_<t). The *direct* error compares p(.|x_<t) with q(.|x_<t): same history, pruned weights. The *history*
error compares q(.|x_<t) with q(.|y_<t): pruned weights, own history. Until the first differing token the
histories agree and the history error is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.calibration import Calibration
from real.pruning.spec import Spec
from real.pruning.variants import variant
from real.text.passes import final_hidden, head_logits
from real.text.prompting import encode_prompts
from real.text.sample import Samples, sample
from theory import Drift, VectorDrift, measure, measure_vectors


@dataclass(frozen=True)
class FreeRunning:
    """Two trajectories from one prompt. Step t compares the distributions of token t, n = the shorter length.

    dense_tokens, pruned_tokens: generated ids, each with its own length.
    hidden, logits: free-running drift ``(n,)``, each model on its own text.
    direct, history: ``(n,)`` the two parts of the free-running drift (see the module).
    first_divergence: number of leading tokens that agree.
    """

    spec: str
    dense_tokens: Tensor
    pruned_tokens: Tensor
    hidden: VectorDrift
    logits: Drift
    direct: Drift
    history: Drift
    first_divergence: int


def free_running(
    lm: LanguageModel,
    spec: str | Spec,
    prompt: str,
    steps: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    greedy: bool = False,
    calibration: Calibration = None,
) -> FreeRunning:
    """``free_runs`` of a single prompt."""
    (run,) = free_runs(lm, spec, [prompt], steps, temperature, seed, greedy=greedy, calibration=calibration)
    return run


def free_runs(
    lm: LanguageModel,
    spec: str | Spec,
    prompts: Sequence[str],
    steps: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    greedy: bool = False,
    calibration: Calibration = None,
) -> Iterator[FreeRunning]:
    """Let the dense and the pruned model answer each prompt on their own with the same random numbers.

    Both run the same Gumbel race (theorem G11), one for each prompt, or both decode greedily; both stop at
    their own end of sequence. ``temperature`` divides the logits in sampling and in every measured
    quantity. The model is pruned once, for all prompts.
    """
    sampling_temperature = 0.0 if greedy else temperature
    encoded = encode_prompts(lm, list(prompts), steps)
    dense = sample(lm, encoded, steps, 1, sampling_temperature, seed)
    hidden = [_step_hidden(lm, dense, row) for row in range(len(dense))]
    logits = [head_logits(lm, states) for states in hidden]
    with variant(lm, spec, calibration) as other:
        own = sample(other, encoded, steps, 1, sampling_temperature, seed)
        for row, (dense_hidden, dense_logits) in enumerate(zip(hidden, logits, strict=True)):
            dense_tokens, own_tokens = dense.continuation(row), own.continuation(row)
            n = min(len(dense_tokens), len(own_tokens))
            own_hidden = _step_hidden(other, own, row)[:n]
            own_logits = head_logits(other, own_hidden)
            direct_logits = head_logits(other, _step_hidden(other, dense, row)[:n])
            yield FreeRunning(
                spec=str(spec),
                dense_tokens=dense_tokens,
                pruned_tokens=own_tokens,
                hidden=measure_vectors(dense_hidden[:n], own_hidden),
                logits=measure(dense_logits[:n], own_logits, temperature),
                direct=measure(dense_logits[:n], direct_logits, temperature),
                history=measure(direct_logits, own_logits, temperature),
                first_divergence=common_prefix(dense_tokens, own_tokens),
            )


def _step_hidden(lm: LanguageModel, samples: Samples, row: int) -> Tensor:
    """Head inputs ``(n, d)`` that predict each generated token of a row, which is read by itself.

    Then equal texts have equal numbers, to the last bit, whatever the others are.
    """
    start, end = int(samples.prompt_lengths[row]), int(samples.lengths[row])
    return final_hidden(lm, samples.tokens[row : row + 1, :end])[0, start - 1 : end - 1]


def common_prefix(one: Tensor, other: Tensor) -> int:
    """Number of leading tokens in which two sequences agree."""
    n = min(len(one), len(other))
    return int((one[:n] == other[:n]).long().cumprod(0).sum())
