"""Which sublayers or blocks to drop.

``cosine`` is the paper's criterion: the mean over calibration tokens of cos(x, x + sublayer output) in the
residual stream, most similar dropped first; for blocks, block influence. ``kl`` and ``tv`` measure what
generation pays for: the mean divergence of the next-token distribution from the dense model's when that part
alone is dropped; ``greedy`` drops one part at a time, each time the one that leaves the smallest joint KL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import normalize

from real.models.load import LanguageModel
from real.pruning.divergence import Divergence, divergences
from real.pruning.spec import Drop, Spec, SpecError, Step, Target, parse_spec
from real.structure.anatomy import Anatomy
from real.structure.drop import dropped
from real.structure.part import Part, PartKind
from real.structure.stream import stream
from real.text.passes import token_rows
from real.text.seeds import generator
from theory.terminal.console import track

KINDS_OF: dict[Target, tuple[PartKind, ...]] = {
    "attn": ("attn",),
    "mlp": ("mlp",),
    "block": ("block",),
    "joint": ("attn", "mlp"),
    "random": ("attn", "mlp"),
}


@dataclass(frozen=True)
class Sublayers:
    """Chosen parts in the order they were chosen, and every candidate's score (smaller is dropped sooner)."""

    parts: tuple[Part, ...]
    scores: dict[Part, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(map(str, self.parts))

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer indices of the chosen parts."""
        return tuple(part.layer for part in self.parts)


@dataclass(frozen=True)
class Done:
    """What was done to the weights of a dense model before its parts are scored."""

    steps: tuple[tuple[Step, bytes, tuple[Part, ...]], ...] = ()

    def and_weights(self, step: Step, tokens: Tensor | None, gone: Collection[Part]) -> Done:
        """Then ``step``, calibrated with ``tokens``, with the parts ``gone`` missing."""
        return Done((*self.steps, (step, b"" if tokens is None else _content(tokens), tuple(gone))))


Key = tuple[Done, frozenset[Part], bytes]


@dataclass
class Memory:
    """Scores of the parts of *one* dense model, so that several specs measure each of them once.

    Kept by what was done to the weights, by the parts that are gone and by the calibration tokens.
    """

    cosines: dict[Key, dict[Part, float]] = field(default_factory=dict)
    divergences: dict[Key, dict[Part, Divergence]] = field(default_factory=dict)


def _content(tokens: Tensor) -> bytes:
    return repr(tuple(tokens.shape)).encode() + tokens.cpu().numpy().tobytes()


def choose_sublayers(
    lm: LanguageModel,
    spec: str | Spec | Drop,
    calibration: Tensor | None = None,
    seed: int = 0,
    gone: Collection[Part] = (),
    memory: Memory | None = None,
    done: Done = Done(),
) -> Sublayers:
    """Choose what a ``Drop`` step drops.

    Parameters
    ----------
    calibration:
        Token ids ``(N, T)``; not needed for listed layers and ``random``.
    seed:
        Only ``random`` uses it.
    gone:
        Parts dropped before this step: the model runs without them and they are no candidates.
    memory, done:
        Scores measured before, to be used and added to; and what was done to the weights since.

    Raises
    ------
    SpecError
        More parts asked for than there are, or an index beyond the last layer.
    """
    step = _single_drop(spec)
    candidates = _candidates(lm.anatomy, step, gone)
    if step.layers is not None:
        return Sublayers(tuple(candidates))
    if step.target == "random":
        order = torch.randperm(len(candidates), generator=generator(seed)).tolist()
        return Sublayers(tuple(candidates[i] for i in order[: step.count]))
    if not step.count:
        return Sublayers(())
    if calibration is None:
        raise ValueError(f"calibration: spec {str(step)!r} needs token ids (N, T) to choose by, got None")
    known = _Known(lm, calibration, Memory() if memory is None else memory, done)
    if step.criterion == "greedy":
        return _greedy(known, candidates, step.count, gone)
    if step.criterion == "cosine":
        scores = known.cosines(candidates, gone)
    else:
        measured = known.divergences(candidates, gone)
        scores = {part: getattr(measured[part], step.criterion) for part in candidates}
    order = sorted(candidates, key=lambda part: (scores[part], part))
    return Sublayers(tuple(order[: step.count]), scores)


def _single_drop(spec: str | Spec | Drop) -> Drop:
    if isinstance(spec, Drop):
        return spec
    steps = parse_spec(spec).steps
    if len(steps) != 1 or not isinstance(steps[0], Drop):
        raise SpecError(f"spec {str(spec)!r} is not a single drop such as 'attn:8'")
    return steps[0]


def _candidates(found: Anatomy, step: Drop, gone: Collection[Part]) -> list[Part]:
    """Parts the step may choose from, or exactly those it lists."""
    blocks = {part.layer for part in gone if part.kind == "block"}
    every: list[Part] = []
    for kind in KINDS_OF[step.target]:
        if kind == "block":
            indices = [layer.index for layer in found.need_layers()]
        else:
            indices = [sublayer.layer for sublayer in found.sublayers((kind,))]
        every += [Part(i, kind) for i in indices if Part(i, kind) not in gone and i not in blocks]
    if step.layers is not None:
        listed = [Part(layer, KINDS_OF[step.target][0]) for layer in step.layers]
        wrong = [part.layer for part in listed if part not in every]
        if wrong:
            raise SpecError(
                f"spec {str(step)!r}: no layer {wrong[0]} to drop from; "
                f"the model has {step.target} {', '.join(str(part.layer) for part in every)}"
            )
        return listed
    if step.count > len(every):
        raise SpecError(f"spec {str(step)!r} drops {step.count} of only {len(every)} candidates")
    return every


@dataclass(frozen=True)
class _Known:
    """A model on its calibration tokens, and what is known of its parts."""

    lm: LanguageModel
    tokens: Tensor
    memory: Memory
    done: Done

    def cosines(self, parts: Sequence[Part], gone: Collection[Part]) -> dict[Part, float]:
        key = (self.done, frozenset(gone), _content(self.tokens))
        if key not in self.memory.cosines:
            with dropped(self.lm.anatomy, gone):
                self.memory.cosines[key] = cosine_distances(self.lm, self.tokens)
        return {part: self.memory.cosines[key][part] for part in parts}

    def divergences(self, parts: Sequence[Part], gone: Collection[Part]) -> dict[Part, Divergence]:
        key = (self.done, frozenset(gone), _content(self.tokens))
        known = self.memory.divergences.setdefault(key, {})
        known |= divergences(self.lm, self.tokens, [part for part in parts if part not in known], gone)
        return known


def cosine_distances(lm: LanguageModel, tokens: Tensor) -> dict[Part, float]:
    """Mean over tokens of 1 - cos(residual stream with, without the part), the paper's criterion.

    Every part is judged in the context of the model as it is, all parts by one forward pass.
    """
    found = lm.anatomy
    sums: dict[Part, float] = defaultdict(float)
    for batch in track(torch.split(tokens, token_rows(tokens)), "similarities"):
        seen = stream(found, batch.to(lm.device))
        ends = {pair.sublayer.part: (pair.dense, pair.dropped) for pair in seen.pairs}
        ends |= {Part(i, "block"): (seen.inputs[i + 1], seen.inputs[i]) for i in range(len(found.layers))}
        for part, (dense, without) in ends.items():
            sums[part] += float(_cosine_distance(seen.points[dense], seen.points[without]).sum())
    return {part: total / tokens.numel() for part, total in sums.items()}


def _cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """1 - cos as half the squared distance of unit vectors: exactly 0 for equal ones; enough to rank by."""
    unit_x, unit_y = (normalize(v.double(), dim=-1) for v in (x, y))
    return (unit_x - unit_y).square().sum(-1) / 2


def _greedy(known: _Known, candidates: list[Part], count: int, gone: Collection[Part]) -> Sublayers:
    """One part at a time, each time the one whose loss beside the earlier ones costs the least mean KL."""
    chosen: list[Part] = []
    scores: dict[Part, float] = {}
    while len(chosen) < count:
        left = [part for part in candidates if part not in chosen]
        costs = known.divergences(left, [*gone, *chosen])
        best = min(left, key=lambda part: (costs[part].kl, part))
        chosen.append(best)
        scores[best] = costs[best].kl
    return Sublayers(tuple(chosen), scores)
