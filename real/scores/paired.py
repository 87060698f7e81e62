"""How far a score moves, from texts that both models really write and both read (K7).

The variant writes from the dense texts as drafts, with their noise: a pair of texts parts only where the
variant's race has another winner, and the variant writes from there on. Each text is judged, and weighed by
its probability under both models (Le Cam pair), which tells far more than counting right answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from real.models.load import AnyModel, LanguageModel, loaded
from real.pruning.calibration import Calibration
from real.pruning.variants import recalibrated, variant
from real.scores.blocks import identity, in_blocks, ranges
from real.scores.forecast import Rule, as_facts, asked_of, verdict_of
from real.scores.report import Many, ScoreReport, ScoreVerdict
from real.scores.routes import Sampled, noise_floor
from real.scores.sampled import (
    Draw,
    Scored,
    judge,
    kept_log_probabilities,
    read_with,
    scored,
    scorer_of,
    some_rows,
)
from real.scores.verdict import Evidence, Interval, sampled
from real.tasks.source import Scorer, TaskSource
from real.text.drafted import write_from_drafts
from real.text.likelihood import log_probabilities
from real.text.sample import Samples, pack, row_generators
from theory.sequences.betting import lower_limit
from theory.sequences.paired_scores import le_cam_pair, le_cam_rows
from theory.sequences.scores import ScoredTexts, deciding_log_weights
from theory.terminal.console import say, track


@dataclass(frozen=True)
class _Dense:
    """A task with the dense model's judged texts."""

    source: TaskSource
    scorer: Scorer
    texts: Scored
    draw: Draw


@dataclass(frozen=True)
class _Written:
    """One variant on one task. log_weights: of the dense texts, float64 ``(N,)``. texts: token ids that the
    variant wrote. log_prob: theirs in the variant, ``(N, n)``."""

    log_weights: Tensor
    texts: list[list[int]]
    log_prob: Tensor


def compare_scores(
    model: AnyModel,
    specs: Sequence[str],
    tasks: Sequence[str | Path | TaskSource],
    *,
    rule: Rule | None = None,
    scorer: Scorer | None = None,
    samples: int = 4,
    limit: int | None = None,
    many: Many = "e-bh",
    calibration: Calibration = None,
    seed: int = 0,
    allow_code: bool = False,
) -> ScoreReport:
    """Let every variant answer too, ``samples`` times per question, and say how its scores differ (K7).

    Arguments, units and errors as of :func:`real.forecast_scores`; ``rule.until_decided`` is not used, since
    all questions are read. Without a scorer a text is judged by the task's right answers. Verdicts on *these
    prompts* have the pairs of texts as independent units, those on *prompts like these* the prompts.

    Raises
    ------
    ValueError
        Also if a task asks for a choice, whose options are compared without any text.

    Example
    -------
    >>> report = compare_scores("smollm2-135m", ["int8"], ["past-tense"], samples=2)  # doctest: +SKIP
    >>> report.frame()[["spec", "before", "after", "like_loss_upper"]]  # doctest: +SKIP
    """
    if not specs or not tasks:
        raise ValueError("name at least one variant and at least one task")
    rule = rule or Rule()
    lm = loaded(model)
    draw = Draw(samples, seed=seed)
    dense = []
    for source in asked_of(tasks, lm, limit, seed, allow_code):
        judge_by = scorer or scorer_of(source)
        dense.append(_Dense(source, judge_by, scored(lm, source, judge_by, draw), draw))
    noises = [noise_floor(Sampled(one.source, one.texts), lm) for one in dense]
    found: dict[tuple[int, str], ScoreVerdict] = {}
    seconds = {}
    for spec in track(list(specs), "comparing scores"):

        def writes(other: LanguageModel, spec: str = spec) -> list[tuple[_Written, float]]:
            owner = identity(other, "real.scores.paired", spec, as_facts(calibration))
            return [_written(one, other, owner) for one in dense]

        with variant(lm, spec, calibration) as other:
            written = writes(other)
        again = recalibrated(lm, spec, writes, calibration)
        seconds[spec] = sum(took for _, took in written)
        for index, (one, (mine, _)) in enumerate(zip(dense, written, strict=True)):
            texts = _both(one, lm, mine)
            evidence, noise = _evidence(*texts, rule.alpha), noises[index].get("sampled", 0.0)
            found[index, spec] = verdict_of(one.source.name, spec, "sampled", evidence, rule, noise=noise)
            if again:
                others = (_evidence(*_both(one, lm, more[index][0]), rule.alpha).after.mean for more in again)
                after = (evidence.after.mean, *others)
                found[index, spec] = replace(found[index, spec], after_calibrations=after)
            say(_told(spec, one, mine, *texts))
    verdicts = tuple(found[index, spec] for index in range(len(dense)) for spec in specs)
    return ScoreReport(lm.name, rule.epsilon, rule.alpha, many, verdicts, seconds)


def _written(one: _Dense, other: LanguageModel, owner: str) -> tuple[_Written, float]:
    """Let the variant read the dense texts and write its own: all that needs the variant."""
    spans = ranges(0, len(one.source.questions))
    stops = [stop for stop in one.source.stops if stop]

    def ended(ids: Sequence[int]) -> bool:
        text = str(other.tokenizer.decode(list(ids), skip_special_tokens=True))
        return any(stop in text for stop in stops)

    def make(index: int) -> dict[str, Any]:
        rows, some = some_rows(one.texts.samples, *spans[index])
        texts = write_from_drafts(
            other,
            _prompts(some),
            [some.continuation(row).tolist() for row in range(len(some))],
            one.source.horizon,
            temperature=one.draw.temperature,
            generators=row_generators(one.draw.seed, rows.tolist()),
            ended=ended if stops else lambda ids: False,
        )
        weights = read_with(other, one.texts, *spans[index]).log_weights
        own = log_probabilities(other, _with_texts(other, some, texts))
        return {"weights": weights.tolist(), "texts": texts, "log_prob": own.tolist()}

    parts = [some_rows(one.texts.samples, *span) for span in spans]
    facts = [
        [owner, one.source.horizon, stops, rows.tolist(), some.tokens.tolist(), some.prompt_lengths.tolist(),
         some.lengths.tolist(), one.texts.log_prob[rows].tolist(), one.texts.decided[rows].tolist()]
        for rows, some in parts
    ]  # fmt: skip
    blocks, seconds = in_blocks(facts, make, f"writing {one.source.name}")
    weights = [value for block in blocks for value in block["weights"]]
    return _Written(
        torch.tensor(weights, dtype=torch.float64),
        [text for block in blocks for text in block["texts"]],
        _rows(row for block in blocks for row in block["log_prob"]),
    ), seconds


def _both(one: _Dense, lm: LanguageModel, mine: _Written) -> tuple[ScoredTexts, ScoredTexts]:
    """The dense texts and the variant's, each judged and weighed; the dense model reads the latter."""
    samples = one.texts.samples
    own = _with_texts(lm, samples, mine.texts)
    before = kept_log_probabilities(lm, own)
    _, scores, decided = judge(lm, one.source, one.scorer, mine.texts, samples.prompt.tolist())
    width = own.horizon
    weights = deciding_log_weights(mine.log_prob[:, :width] - before[:, :width], decided)
    return (
        ScoredTexts(mine.log_weights, one.texts.scores, samples.prompt),
        ScoredTexts(weights, scores, samples.prompt),
    )


def _evidence(dense: ScoredTexts, written: ScoredTexts, alpha: float) -> Evidence:
    plus, minus = le_cam_rows(dense, written).unbind(1)
    listed = (replace(texts, listed=True) for texts in (dense, written))
    pairs_plus, pairs_minus = le_cam_rows(*listed, coupled=True).unbind(1)
    return Evidence(
        plus=plus,
        minus=minus,
        before=_mean(dense, alpha),
        after=_mean(written, alpha),
        texts=(pairs_plus, pairs_minus),
        explanation=sampled(dense, alpha).explanation,
    )


def _mean(texts: ScoredTexts, alpha: float) -> Interval:
    """The mean score that was counted, with limits over prompts."""
    rows = texts.units(torch.stack([texts.scores, 1 - texts.scores], 1))
    right, wrong = lower_limit(rows, alpha).tolist()
    return Interval(float(rows[:, 0].mean()), min(1.0, right), max(0.0, 1 - wrong))


def _told(spec: str, one: _Dense, mine: _Written, dense: ScoredTexts, written: ScoredTexts) -> str:
    texts = one.texts.samples
    kept = sum(texts.continuation(row).tolist()[: len(ids)] == ids for row, ids in enumerate(mine.texts))
    divergence = le_cam_pair(dense, written).le_cam
    told = f"{spec} on {one.source.name}: {len(mine.texts) - kept} of {len(mine.texts)} texts differ"
    if divergence > 0:
        told += f"; counting right answers would need about {1 / divergence:,.0f} times as many texts (1/LC)"
    return told


def _prompts(samples: Samples) -> list[list[int]]:
    return [samples.tokens[row, : samples.prompt_lengths[row]].tolist() for row in range(len(samples))]


def _with_texts(lm: LanguageModel, samples: Samples, texts: list[list[int]]) -> Samples:
    """The same prompts with other texts."""
    rows = list(zip(samples.prompt.tolist(), _prompts(samples), strict=True))
    return pack(lm, rows, texts, samples.temperature, samples.seed)


def _rows(rows: Iterable[list[float]]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row, dtype=torch.float64) for row in rows], batch_first=True
    )
