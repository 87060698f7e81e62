"""A pruned model as the draft of its dense self: the dense model's own text, in fewer passes of it.

Speculative decoding leaves the output law unchanged; greedy text is identical. How many drafted tokens are
accepted is known beforehand: of greedy text exactly, because the draft repeats it up to the first token at
which its argmax differs (G10); of sampled text on average, because a token x of the text, had it been
drafted, was accepted with probability min(1, q(x)/p(x)), which is 1 - TV in the mean (G6, J4).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from real.forecast.stepwise import StepScores, dense_pass, score_variant
from real.models.load import LanguageModel
from real.models.settings import neutral_settings
from real.pruning.apply import prune
from real.pruning.calibration import Calibration
from real.structure.probe import hooks
from real.text.sample import Samples, sample


@dataclass(frozen=True)
class Drafted:
    """Decoding with a draft of ``length`` tokens at a time.

    forecast, measured: greedy tokens of text per pass of the dense model. sampled, sampled_measured: the same
    of text drawn at temperature 1, one text per prompt. identical: whether every greedy text is the dense
    model's own. time_ratio: time of greedy text with the draft over time without, measured; time_forecast:
    what the forecast, and the time of one token in either model, say of it.
    """

    spec: str
    length: int
    forecast: float
    measured: float
    sampled: float
    sampled_measured: float
    identical: bool
    time_ratio: float
    time_forecast: float


def drafted(
    lm: LanguageModel,
    spec: str,
    prompts: Sequence[str],
    tokens: int = 48,
    length: int = 4,
    calibration: Calibration = None,
) -> Drafted:
    """Forecast and measure, prompt by prompt, with transformers' ``assistant_model``."""
    draft = prune(lm, spec, calibration)
    greedy = sample(lm, prompts, tokens, temperature=0.0)
    scores = score_variant(lm, dense_pass(lm, greedy), draft)
    drawn = score_variant(lm, dense_pass(lm, sample(lm, prompts, tokens)), draft)
    runs = [greedy_run(agree, length) for agree in _agreements(scores)]
    plain, texts = _written(lm, greedy, tokens)
    helped, again = _written(lm, greedy, tokens, (draft, length))
    written = sum(map(len, texts))
    one_draft, _ = _written(draft, greedy, tokens)
    chance, random_texts = _written(lm, greedy, tokens, (draft, length), sampled=True)
    expected = expected_passes(drawn.log_ratio.clamp(max=0).exp(), drawn.live, length)
    passes = sum(runs)
    return Drafted(
        spec=spec,
        length=length,
        forecast=written / passes,
        measured=sum(map(len, again)) / helped.passes,
        sampled=float(drawn.live.sum() / expected.sum()),
        sampled_measured=sum(map(len, random_texts)) / chance.passes,
        identical=texts == again,
        time_ratio=helped.seconds / plain.seconds,
        time_forecast=(passes / written) * (1 + length * one_draft.seconds / plain.seconds),
    )


def greedy_run(agree: Sequence[bool], length: int) -> int:
    """Passes of the dense model for one text, of whose tokens the draft would have chosen these itself."""
    place = passes = 0
    while place < len(agree):
        room = min(length, len(agree) - place - 1)
        accepted = next((i for i in range(room) if not agree[place + i]), room)
        place += accepted + 1
        passes += 1
    return passes


def expected_passes(accepted: Tensor, live: Tensor, length: int) -> Tensor:
    """:func:`greedy_run` on average, ``(N,)``: tokens of texts ``(N, n)``, accepted with these probabilities,
    independently; live: where the texts have tokens."""
    lengths, steps = live.sum(1), live.shape[1]
    begins = torch.zeros(len(live), steps + 1, dtype=torch.float64)
    begins[:, 0] = 1
    for start in range(steps):
        running = begins[:, start] = begins[:, start] * live[:, start]
        for place in range(start, min(start + length + 1, steps)):
            over = (lengths - 1 == place) | (place == start + length)
            ended = running * torch.where(over, 1.0, 1 - accepted[:, place])
            begins[:, place + 1] += ended
            running = running - ended
    return begins[:, :steps].sum(1)


@dataclass
class _Passes:
    passes: int = 0
    seconds: float = 0.0


def _agreements(scores: StepScores) -> list[list[bool]]:
    return [row[live].tolist() for row, live in zip(scores.agree, scores.live, strict=True)]


def _written(
    lm: LanguageModel,
    prompts: Samples,
    tokens: int,
    draft: tuple[LanguageModel, int] | None = None,
    sampled: bool = False,
) -> tuple[_Passes, list[list[int]]]:
    """Text after every prompt, with or without a draft of so many tokens; passes of ``lm`` and seconds."""
    found, texts = _Passes(), []
    model: Any = lm.model
    options: dict[str, Any] = {"max_new_tokens": tokens, "do_sample": sampled, "pad_token_id": 0}
    if sampled:
        options |= {"temperature": 1.0, "top_k": 0, "top_p": 1.0}

    def count(*_: object) -> None:
        found.passes += 1

    for row in range(len(prompts)):
        prompt = prompts.tokens[row, : prompts.prompt_lengths[row]].unsqueeze(0).to(lm.device)
        with ExitStack() as stack:
            stack.enter_context(neutral_settings(model))
            stack.enter_context(hooks([lm.model.register_forward_pre_hook(count)]))
            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(row)
            if draft is not None:
                helper = draft[0].model
                stack.enter_context(neutral_settings(helper))
                _constant(helper, draft[1])
                options["assistant_model"] = helper
            start = perf_counter()
            text = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
            found.seconds += perf_counter() - start
        texts.append(text[0, prompt.shape[1] :].tolist())
    return found, texts


def _constant(model: Any, length: int) -> None:
    """Always ``length`` drafted tokens, whatever was accepted before and however sure the draft is."""
    model.generation_config.num_assistant_tokens = length
    model.generation_config.num_assistant_tokens_schedule = "constant"
    model.generation_config.assistant_confidence_threshold = 0.0
