"""Which sublayers or blocks to drop.

``cosine`` is the paper's criterion: the mean over calibration tokens of cos(x, x + sublayer output) in the
residual stream, most similar dropped first; for blocks, block influence. ``kl`` and ``tv`` measure what
generation pays for: the mean divergence of the next-token distribution from the dense model's when that part
alone is dropped; ``greedy`` drops one part at a time, each time the one that leaves the smallest joint KL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, normalize

from real.models.load import LanguageModel
from real.progress import track
from real.pruning.spec import Drop, Spec, SpecError, Target, parse_spec
from real.structure.anatomy import Anatomy
from real.structure.drop import dropped
from real.structure.part import Part, PartKind
from real.structure.recognise import anatomy
from real.structure.stream import stream
from real.text.passes import final_hidden, head_logits, row_chunks
from real.text.seeds import generator

BATCH_TOKENS = 2048
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


def choose_sublayers(
    lm: LanguageModel,
    spec: str | Spec | Drop,
    calibration: Tensor | None = None,
    seed: int = 0,
    gone: Collection[Part] = (),
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

    Raises
    ------
    SpecError
        More parts asked for than there are, or an index beyond the last layer.
    """
    step = _single_drop(spec)
    found = anatomy(lm.model)
    candidates = _candidates(found, step, gone)
    if step.layers is not None:
        return Sublayers(tuple(candidates))
    if step.target == "random":
        order = torch.randperm(len(candidates), generator=generator(seed)).tolist()
        return Sublayers(tuple(candidates[i] for i in order[: step.count]))
    if not step.count:
        return Sublayers(())
    if calibration is None:
        raise ValueError(f"calibration: spec {str(step)!r} needs token ids (N, T) to choose by, got None")
    if step.criterion == "greedy":
        return _greedy(lm, candidates, step.count, calibration, gone)
    if step.criterion == "cosine":
        with dropped(found, gone):
            scores = cosine_distances(lm, calibration, candidates)
    else:
        scores = divergences(lm, calibration, candidates, step.criterion, gone)
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
            indices = [layer.index for layer in found.layers]
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


def _batches(tokens: Tensor) -> Iterator[Tensor]:
    yield from torch.split(tokens, max(1, BATCH_TOKENS // tokens.shape[1]))


def cosine_distances(lm: LanguageModel, tokens: Tensor, parts: Sequence[Part]) -> dict[Part, float]:
    """Mean over tokens of 1 - cos(residual stream with, without the part), the paper's criterion.

    Every part is judged in the dense context, all parts by one forward pass, which is remembered for as long
    as the model lives and its weights stay as they are.
    """
    known = _similarities.setdefault(lm.model, {})
    key = _fingerprint(lm, tokens)
    if key not in known:
        known[key] = _all_cosine_distances(lm, tokens)
    return {part: known[key][part] for part in parts}


_similarities: WeakKeyDictionary[nn.Module, dict[int, dict[Part, float]]] = WeakKeyDictionary()


def _fingerprint(lm: LanguageModel, tokens: Tensor) -> int:
    """Changes with the tokens, with every write into a weight, and with every hook (a dropped sublayer)."""
    versions = tuple(parameter._version for parameter in lm.model.parameters())
    watched = tuple(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in lm.model.modules())
    return hash((tuple(tokens.flatten().tolist()), tokens.shape, versions, watched))


def _all_cosine_distances(lm: LanguageModel, tokens: Tensor) -> dict[Part, float]:
    found = anatomy(lm.model)
    sums: dict[Part, float] = defaultdict(float)
    for batch in track(list(_batches(tokens)), "similarities"):
        seen = stream(found, batch.to(lm.device))
        ends = {Part(p.sublayer.layer, p.sublayer.kind): (p.dense, p.dropped) for p in seen.pairs}
        ends |= {Part(i, "block"): (seen.inputs[i + 1], seen.inputs[i]) for i in range(len(found.layers))}
        for part, (dense, without) in ends.items():
            sums[part] += float(_cosine_distance(seen.points[dense], seen.points[without]).sum())
    return {part: total / tokens.numel() for part, total in sums.items()}


def _cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """1 - cos as half the squared distance of unit vectors: exactly 0 for equal ones; enough to rank by."""
    unit_x, unit_y = (normalize(v.double(), dim=-1) for v in (x, y))
    return (unit_x - unit_y).square().sum(-1) / 2


def divergences(
    lm: LanguageModel, tokens: Tensor, parts: Sequence[Part], criterion: str, gone: Collection[Part] = ()
) -> dict[Part, float]:
    """Mean over tokens of KL(dense || pruned) in nats, or of TV, for each part dropped beside ``gone``.

    One pass for each part gives both; they are remembered like the cosines.
    """
    every = _measured.setdefault(lm.model, {})
    known = every.setdefault((_fingerprint(lm, tokens), frozenset(gone)), {})
    missing = [part for part in parts if part not in known]
    if missing:
        found, dense = anatomy(lm.model), _states(lm, tokens)
        for part in track(missing, "measured divergences"):
            with dropped(found, [*gone, part], verify=False):
                known[part] = _mean_divergences(lm, dense, _states(lm, tokens))
    return {part: known[part][criterion] for part in parts}


_measured: WeakKeyDictionary[nn.Module, dict[tuple[int, frozenset[Part]], dict[Part, dict[str, float]]]] = (
    WeakKeyDictionary()
)


def _states(lm: LanguageModel, tokens: Tensor) -> Tensor:
    """Head inputs of all tokens, ``(N * T, d)``."""
    per_batch = max(1, BATCH_TOKENS // tokens.shape[1])
    return final_hidden(lm, tokens, per_batch).flatten(0, 1)


def _mean_divergences(lm: LanguageModel, dense: Tensor, without: Tensor) -> dict[str, float]:
    """A ranking needs no careful arithmetic: plain float32 log-probabilities, sums in float64."""
    head = anatomy(lm.model).head
    assert head is not None
    totals = {"kl": 0.0, "tv": 0.0}
    for rows in row_chunks(len(dense), head.vocabulary):
        log_p, log_q = (log_softmax(head_logits(lm, h[rows]).float(), -1) for h in (dense, without))
        kl = kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
        tv = (log_p.exp() - log_q.exp()).abs().sum(-1) / 2
        totals["kl"] += float(kl.double().sum())
        totals["tv"] += float(tv.double().sum())
    return {criterion: total / len(dense) for criterion, total in totals.items()}


def _greedy(
    lm: LanguageModel, candidates: list[Part], count: int, tokens: Tensor, gone: Collection[Part]
) -> Sublayers:
    """One part at a time, each time the one whose loss beside the earlier ones costs the least mean KL."""
    chosen: list[Part] = []
    scores: dict[Part, float] = {}
    while len(chosen) < count:
        left = [part for part in candidates if part not in chosen]
        costs = divergences(lm, tokens, left, "kl", [*gone, *chosen])
        best = min(left, key=lambda part: (costs[part], part))
        chosen.append(best)
        scores[best] = costs[best]
    return Sublayers(tuple(chosen), scores)
