"""Search: a start from the Gram matrix of single effects (D5), then measured additions and exchanges.

Single changes (a part dropped, a layer made lighter) are run once each; their Gram matrix predicts the cost
of every set, to second order and as far as effects add. What looks best by it is measured; only measurements
decide. Everything measured is a candidate for the front of drift against what is saved.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.search.budget import Budget
from real.search.candidates import Candidate, as_spec, candidates, clash, place
from real.search.journal import Journal
from real.search.measuring import Texts
from real.search.saving import nonzero, packed, seconds
from real.structure.part import Part
from theory.fingerprint import fingerprint
from theory.terminal.console import track

BEAM = 6  # candidates that are measured where one is taken
EXCHANGES = 8  # rounds of exchanges at most


@dataclass(frozen=True)
class Point:
    """A set of changes: spec, what it saves (share of the whole), drift on the texts of the search."""

    spec: str
    parts: tuple[Candidate, ...]
    saved: float
    drift: float


@dataclass
class Search:
    """What is known while a search runs, and what came out: every point that was measured."""

    texts: Texts
    journal: Journal
    candidates: tuple[Candidate, ...]
    savings: dict[Candidate, float]
    gram: Tensor
    points: dict[frozenset[Candidate], Point] = field(default_factory=dict)

    def measured(self, parts: Collection[Candidate]) -> Point:
        """The point of a set of parts."""
        chosen = frozenset(parts)
        if chosen not in self.points:
            spec = as_spec(chosen)
            drift = float(self.journal.recall(spec, lambda: self.texts.measure(chosen)))
            saved = sum(self.savings[part] for part in chosen)
            self.points[chosen] = Point(spec, tuple(sorted(chosen, key=place)), saved, drift)
        return self.points[chosen]

    def predicted(self, parts: Collection[Candidate]) -> float:
        """KL of a set by the Gram matrix."""
        index = [self.candidates.index(part) for part in parts]
        return float(self.gram[index][:, index].sum()) / 2

    def front(self) -> list[Point]:
        """Measured points that no other beats in both drift and saving, from the mildest on."""
        best: list[Point] = []
        for point in sorted(self.points.values(), key=lambda one: (one.drift, -one.saved)):
            if point.drift >= 0 and (not best or point.saved > best[-1].saved):
                best.append(point)
        return best


def start(
    lm: LanguageModel,
    texts: Texts,
    kinds: Sequence[str],
    saving: str,
    folder: Path | None,
    facts: object,
) -> Search:
    """Run every candidate by itself, once, and compute the Gram matrix; or read both from the journal."""
    journal = Journal(folder and folder / "journal.jsonl", [facts, lm.content, fingerprint(__name__)])
    among = tuple(candidates(lm.anatomy, kinds))
    texts.resume.rebase(())

    def measure() -> list[list[float]]:
        states = [texts.states([part]) for part in track(among, "single changes")]
        if texts.reads_states:
            for part, one in zip(among, states, strict=True):
                journal.recall(as_spec([part]), partial(texts.of_states, one))
        return texts.gram(states).tolist()

    gram = torch.tensor(journal.recall("gram", measure), dtype=torch.float64)
    found = Search(texts, journal, among, _savings(lm, among, saving, journal), gram)
    if texts.reads_states:
        for part in among:
            found.measured([part])
    return found


def _savings(
    lm: LanguageModel, among: Sequence[Candidate], saving: str, journal: Journal
) -> dict[Candidate, float]:
    """Share of all parameters, of their bytes, or of the time of a token, that goes with each candidate."""
    if saving == "time":
        parts = [one for one in among if isinstance(one, Part)]
        measured = journal.recall("seconds", lambda: list(seconds(lm, parts).values()))
        whole = sum(s for s, part in zip(measured, parts, strict=True) if part.kind != "block") or sum(
            measured
        )
        return {part: value / whole for part, value in zip(parts, measured, strict=True)}
    total = sum(p.numel() for p in lm.model.parameters())
    if saving == "bytes":
        own = lm.model.dtype.itemsize
        return {one: packed(lm.anatomy, one, own) / (own * total) for one in among}
    return {one: nonzero(lm.anatomy, one) / total for one in among}


def choose_by_gram(search: Search, count: int) -> frozenset[Candidate]:
    """``count`` parts of the least predicted cost: one by one, then exchanged while that helps."""
    chosen: frozenset[Candidate] = frozenset()
    while len(chosen) < count:
        chosen = min((chosen | {part} for part in _free(search, chosen)), key=search.predicted)
    while True:
        best = min(_swaps(search, chosen), key=search.predicted, default=chosen)
        if search.predicted(best) >= search.predicted(chosen) * (1 - 1e-9):
            return chosen
        chosen = best


def exactly(search: Search, count: int) -> Point:
    """``count`` parts of little drift: the Gram matrix's choice, then measured exchanges."""
    if not 0 < count <= len(search.candidates):
        raise ValueError(f"drop {count} of {len(search.candidates)} candidates: give a number in between")
    point = search.measured(choose_by_gram(search, count))
    return _exchanged(search, point)


def within(search: Search, budget: Budget) -> Point:
    """The set that saves most among those found whose drift keeps to the budget; perhaps the empty one."""
    point = search.measured(())
    while True:
        grown = _grown(search, point, budget.limit)
        if grown is None:
            better = _exchanged(search, point, rounds=1)
            grown = None if better is point else _grown(search, better, budget.limit)
            point = better
        if grown is None:
            kept = [one for one in search.points.values() if one.drift <= budget.limit]
            return max(kept, key=lambda one: (one.saved, -one.drift))
        point = grown


def _grown(search: Search, point: Point, limit: float) -> Point | None:
    """One change more, that costs least for what it saves, if the budget allows any that were looked at."""
    chosen = frozenset(point.parts)
    search.texts.resume.rebase(chosen)

    def price(more: frozenset[Candidate]) -> float:
        return (search.predicted(more) - search.predicted(chosen)) / (_saved(search, more) - point.saved)

    looked = sorted(_additions(search, chosen), key=price)[:BEAM]
    found = [search.measured(more) for more in track(looked, f"{len(chosen) + 1} changes")]
    kept = [one for one in found if one.drift <= limit]
    return min(kept, key=lambda one: (one.drift - point.drift) / (one.saved - point.saved), default=None)


def _additions(search: Search, chosen: frozenset[Candidate]) -> list[frozenset[Candidate]]:
    """``chosen`` and one more, in the place of what that does not go with, if more is saved then."""
    found = [
        frozenset(one for one in chosen if not clash(one, new)) | {new}
        for new in search.candidates
        if new not in chosen
    ]
    saved = _saved(search, chosen)
    return [more for more in found if _saved(search, more) > saved + 1e-12]


def _exchanged(search: Search, point: Point, rounds: int = EXCHANGES) -> Point:
    """One part for another, as long as a measurement says that less is lost and no less saved."""
    for _ in range(rounds):
        chosen = frozenset(point.parts)
        search.texts.resume.rebase(chosen)
        swaps = [swap for swap in _swaps(search, chosen) if _saved(search, swap) >= point.saved - 1e-12]
        looked = sorted(swaps, key=search.predicted)[:BEAM]
        found = [search.measured(swap) for swap in track(looked, "exchanges")]
        best = min(found, key=lambda one: one.drift, default=point)
        if best.drift >= point.drift:
            return point
        point = best
    return point


def _saved(search: Search, parts: Collection[Candidate]) -> float:
    return sum(search.savings[part] for part in parts)


def _free(search: Search, chosen: Collection[Candidate]) -> list[Candidate]:
    """Candidates beside ``chosen`` that go with all of it."""
    return [new for new in search.candidates if not any(clash(new, one) for one in chosen)]


def _swaps(search: Search, chosen: frozenset[Candidate]) -> list[frozenset[Candidate]]:
    return [
        chosen - {out} | {part}
        for out in sorted(chosen, key=place)
        for part in _free(search, chosen - {out})
        if part != out
    ]
