"""Forecasts of scores against outcomes: was what was read off right, do bands of other questions cover, how
many prompts decide, and who orders the mild variants.

Nothing here could not fail. Greedy answers read off (K1, K12) are compared with answers that the harness lets
the model give. Limits are made from questions that were not answered and compared with those that were:
greedily against the answers, sampled ones (K4, from dense texts alone) against what is read off there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest, spearmanr
from torch import Tensor

from real.scores.verdict import ALPHA, EPSILON, Outcome, between, of_prompts_like_these, of_these_prompts
from real.tasks.summary import DENSE, chance
from real.validation.checks import FAILS, SAFE, ceiling, counted, known, power, verdicts
from real.validation.outcomes import Bench
from real.validation.outcomes import Outcome as Answers
from theory.sequences.betting import lower_limit
from theory.sequences.scores import ScoredTexts, change_rows, score_split

_WORDS = {SAFE: Outcome.SAFE.value, FAILS: Outcome.FAILS.value, 0: Outcome.UNDECIDED.value}
MILD = 0.5  # share of the variants, those with the least KL per token


@dataclass(frozen=True)
class _Pair:
    """The dense model and a variant on one task."""

    dense: Answers
    other: Answers

    def ends(self, decoding: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        before, after = (getattr(one, decoding) for one in (self.dense, self.other))
        return (_tensor(before[0]), _tensor(before[1])), (_tensor(after[0]), _tensor(after[1]))

    def rows(self, decoding: str) -> tuple[Tensor, Tensor]:
        """1 + change and 1 - change of every question, in the worst case."""
        (low, high), (other_low, other_high) = self.ends(decoding)
        return 1 + other_low - high, 1 + low - other_high

    @property
    def answered(self) -> Tensor:
        return torch.tensor(self.other.items)

    @property
    def others(self) -> Tensor:
        """Questions that were not answered."""
        mask = torch.ones(len(self.dense.greedy[0]), dtype=torch.bool)
        mask[self.answered] = False
        return mask.nonzero().squeeze(1)

    def loss(self, decoding: str, questions: Tensor | None = None) -> float:
        """Estimate of the loss on all or some questions."""
        plus, minus = self.rows(decoding)
        if questions is not None:
            plus, minus = plus[questions], minus[questions]
        return float((minus - plus).mean()) / 2

    @property
    def texts(self) -> ScoredTexts | None:
        """Dense texts and their weights in the variant; None for tasks that ask for no text."""
        if self.dense.texts is None or self.other.texts is None:
            return None
        count = len(self.dense.texts) // len(self.dense.greedy[0])
        prompt = torch.arange(len(self.dense.greedy[0])).repeat_interleave(count)
        log_weights = _tensor(self.other.texts) - _tensor(self.dense.texts)
        return ScoredTexts(log_weights, _tensor(self.dense.text_scores or []), prompt)

    @property
    def tv(self) -> Tensor:
        """Total variation of every question's answers: of texts an estimate, of options exact."""
        if (texts := self.texts) is not None:
            return texts.units(-torch.expm1(texts.log_weights.clamp(max=0)).unsqueeze(1)).squeeze(1)
        if self.dense.laws and self.other.laws:
            pairs = zip(self.dense.laws, self.other.laws, strict=True)
            return torch.stack([(_tensor(p) - _tensor(q)).abs().sum() / 2 for p, q in pairs])
        (before, _), (after, _) = self.ends("sampled")
        return (before - after).abs()


def validate_scores(bench: Bench) -> list[dict[str, Any]]:
    """One record per spec: spec, kl_per_token in nats, tasks (one entry per task and way of decoding)."""
    dense: dict[str, Answers] = {}
    records: list[dict[str, Any]] = []
    for spec, kl, found in bench.run():
        if spec == DENSE:
            dense = found
            continue
        tasks = [
            _entry(name, decoding, _Pair(dense[name], other))
            for name, other in found.items()
            for decoding in ("greedy", "sampled")
        ]
        records.append({"spec": spec, "kl_per_token": kl, "tasks": tasks})
    return records


def _entry(name: str, decoding: str, pair: _Pair) -> dict[str, Any]:
    before, after = pair.ends(decoding)
    evidence = between(before, after)
    loss, questions = pair.loss(decoding), len(before[0])
    entry: dict[str, Any] = {"task": name, "decoding": decoding, "kind": _kind(pair.dense)}
    entry |= {"questions": questions, "dense": evidence.before.mean, "loss": loss}
    entry["width"] = evidence.after.upper - evidence.after.lower
    entry["signal"] = _above_chance(name, pair.dense)
    entry |= _coverage(pair, decoding) | _methods(pair, decoding, loss)
    entry["verdicts"] |= {
        "these": of_these_prompts(evidence).outcome.value,
        "read off": of_prompts_like_these(evidence).outcome.value,
    }
    if decoding == "greedy":
        entry |= _agreement(pair)
        entry["seconds"] = {"read": pair.other.read_seconds, "answered": pair.other.run_seconds}
    elif (texts := pair.texts) is not None:
        split = score_split(texts)
        entry["split"] = {
            part: float(getattr(split, part).mean) for part in ("lost_right", "lost_wrong", "gained_right")
        }
    return entry


def _agreement(pair: _Pair) -> dict[str, Any]:
    """Answers that were read off, against those that the harness had the variant give."""
    low, high = (_tensor(end)[pair.answered] for end in pair.other.greedy)
    given, known_ = _tensor(pair.other.answered), low == high
    return {
        "answered": len(given),
        "undecided": int((~known_).sum()),
        "agree": int((low == given)[known_].sum()),
    }


def _coverage(pair: _Pair, decoding: str) -> dict[str, Any]:
    """90 % limits of the loss from questions not answered, and the loss on those that were."""
    texts = pair.texts
    if decoding == "greedy":
        rows, measured = pair.rows(decoding), _answered_loss(pair)
    else:
        rows = change_rows(texts) if texts is not None else pair.rows(decoding)
        measured = pair.loss(decoding, pair.answered)
    plus, minus = rows
    both = lower_limit(torch.stack([plus[pair.others], minus[pair.others]], 1), ALPHA)
    lower, upper = float(both[1]) - 1, 1 - float(both[0])
    return {
        "forecast": {
            "mean": pair.loss(decoding, pair.others),
            "lower": max(-1.0, lower),
            "upper": min(1.0, upper),
        },
        "measured": measured,
        "covered": lower <= measured <= upper,
    }


def _answered_loss(pair: _Pair) -> float:
    return float((_tensor(pair.dense.answered) - _tensor(pair.other.answered)).mean())


def _methods(pair: _Pair, decoding: str, loss: float) -> dict[str, Any]:
    """Prompts until 80 % of verdicts are right, method by method, and each one's verdict on all questions."""
    plus, minus = pair.rows(decoding)
    rows = {"read off": known(plus, minus)}
    if decoding == "sampled":
        (before, _), (after, _) = pair.ends(decoding)
        if (texts := pair.texts) is not None:
            rows["band"] = known(*change_rows(texts))
        rows |= {"ceiling": ceiling(pair.tv), "counting": counted(before, after)}
    every = torch.arange(len(plus)).unsqueeze(1)
    found = {name: power(method, len(plus), loss) for name, method in rows.items()}
    return {
        "truth": Outcome.SAFE.value if loss <= EPSILON else Outcome.FAILS.value,
        "verdicts": {
            name: _WORDS[int(verdicts(*rows[name](every))[0])] for name in rows.keys() & {"band", "ceiling"}
        },
        "power": {name: asdict(one) for name, one in found.items()},
    }


def _kind(dense: Answers) -> str:
    return "written" if dense.texts is not None else "choice" if dense.laws else "ending"


def _above_chance(name: str, dense: Answers) -> bool:
    """Whether the dense model can do the task beyond doubt (95 %)."""
    right, count = round(sum(dense.greedy[0])), len(dense.greedy[0])
    lower = float(binomtest(right, count).proportion_ci(0.95, method="wilson").low)
    return lower > max(0.01, chance(name) or 0.0)


def rank_correlation(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Who orders the mild variants as their measured greedy losses do (Spearman, per task)?

    Mild: the half with the least KL per token. The forecasts: KL per token, and losses read off of questions
    that were not answered, greedy and sampled; the measured losses are of those that were. Tasks where fewer
    than three different losses were measured order nothing.
    """
    mild = sorted(records, key=lambda record: float(record["kl_per_token"]))
    mild = mild[: max(1, round(MILD * len(mild)))]
    found: dict[str, Any] = {"specs": [record["spec"] for record in mild], "tasks": {}}
    names = [entry["task"] for entry in mild[0]["tasks"] if entry["decoding"] == "greedy" and entry["signal"]]
    for name in names:
        greedy, sampled = (_losses(mild, name, decoding) for decoding in ("greedy", "sampled"))
        measured = [round(entry["measured"], 9) for entry in greedy]
        if len(set(measured)) < 3:
            continue
        forecasts = {
            "kl per token": [float(record["kl_per_token"]) for record in mild],
            "read off, greedy": [entry["forecast"]["mean"] for entry in greedy],
            "read off, sampled": [entry["forecast"]["mean"] for entry in sampled],
        }
        found["tasks"][name] = {way: _spearman(values, measured) for way, values in forecasts.items()}
    each: list[dict[str, float]] = list(found["tasks"].values())
    found["mean"] = {way: float(np.mean([entry[way] for entry in each])) for way in (each[0] if each else ())}
    return found


def _losses(records: Sequence[dict[str, Any]], name: str, decoding: str) -> list[dict[str, Any]]:
    return [
        entry
        for record in records
        for entry in record["tasks"]
        if entry["task"] == name and entry["decoding"] == decoding
    ]


def _spearman(forecast: Sequence[float], measured: Sequence[float]) -> float:
    rounded = [round(value, 9) for value in forecast]
    return 0.0 if len(set(rounded)) < 2 else float(spearmanr(rounded, measured).statistic)


def _tensor(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
