"""A pruned model as the draft of its dense self: the dense model's own text, in fewer passes of it.

Speculative decoding leaves the output law unchanged; greedy text is identical. How many drafted tokens are
accepted is known beforehand: of greedy text exactly, because the draft repeats it up to the first token at
which its argmax differs (G10); of sampled text on average, because a token is accepted with probability
1 - TV (G6, J4).
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Greedy decoding with a draft of ``length`` tokens at a time.

    forecast, measured: tokens of text per pass of the dense model. sampled: forecast of the same for text
    drawn at temperature 1. identical: whether every text is the dense model's own. time_ratio: time with the
    draft over time without, measured; time_forecast: what the forecast, and the time of one token in either
    model, say of it.
    """

    spec: str
    length: int
    forecast: float
    measured: float
    sampled: float
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
    plain, texts = _written(lm, greedy, tokens, None, length)
    helped, again = _written(lm, greedy, tokens, draft, length)
    written = sum(map(len, texts))
    one_draft, _ = _written(draft, greedy, tokens, None, length)
    passes = sum(runs)
    return Drafted(
        spec=spec,
        length=length,
        forecast=written / passes,
        measured=sum(map(len, again)) / helped.passes,
        sampled=expected_tokens(1 - drawn.tv, drawn.live, length),
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


def expected_tokens(acceptance: Tensor, live: Tensor, length: int) -> float:
    """Mean over places in texts ``(N, n)`` of 1 + sum over j of the probability that j are accepted."""
    total, accepted = torch.ones_like(acceptance), torch.ones_like(acceptance)
    for step in range(length):
        shifted = torch.zeros_like(acceptance)
        shifted[:, : acceptance.shape[1] - step] = (acceptance * live)[:, step:]
        accepted = accepted * shifted
        total = total + accepted
    inner = live.clone()
    inner[:, max(1, live.shape[1] - length) :] = False  # where a whole draft still fits
    return float(total[inner].mean())


@dataclass
class _Passes:
    passes: int = 0
    seconds: float = 0.0


def _agreements(scores: StepScores) -> list[list[bool]]:
    return [row[live].tolist() for row, live in zip(scores.agree, scores.live, strict=True)]


def _written(
    lm: LanguageModel, greedy: Samples, tokens: int, draft: LanguageModel | None, length: int
) -> tuple[_Passes, list[list[int]]]:
    """Greedy text after every prompt, with or without a draft; passes of ``lm`` and seconds."""
    found, texts = _Passes(), []
    model: Any = lm.model

    def count(*_: object) -> None:
        found.passes += 1

    for row in range(len(greedy)):
        prompt = greedy.tokens[row, : greedy.prompt_lengths[row]].unsqueeze(0).to(lm.device)
        options: dict[str, Any] = {"max_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
        with neutral_settings(model), hooks([lm.model.register_forward_pre_hook(count)]), torch.no_grad():
            start = perf_counter()
            if draft is None:
                text = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
            else:
                with neutral_settings(draft.model):
                    _constant(draft.model, length)
                    text = model.generate(
                        prompt,
                        attention_mask=torch.ones_like(prompt),
                        assistant_model=draft.model,
                        **options,
                    )
            found.seconds += perf_counter() - start
        texts.append(text[0, prompt.shape[1] :].tolist())
    return found, texts


def _constant(model: Any, length: int) -> None:
    """Always ``length`` drafted tokens, whatever was accepted before and however sure the draft is."""
    model.generation_config.num_assistant_tokens = length
    model.generation_config.num_assistant_tokens_schedule = "constant"
    model.generation_config.assistant_confidence_threshold = 0.0
