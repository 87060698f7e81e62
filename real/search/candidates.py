"""What a search may choose among: dropped parts, and layers whose weights become lighter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.calibration import Calibration, calibration_rows, needs_calibration
from real.pruning.spec import Drop, Quantise, Sparsify, Spec, parse_spec
from real.search.budget import PARTS
from real.structure.anatomy import KINDS, Anatomy
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.weights import weights

_MEASURED = Drop("attn", 1, criterion="kl")  # a mask is calibrated on as much text as a measured choice


@dataclass(frozen=True)
class Lighter:
    """The matrices of one layer under a step on weights; kind: its spec, ``int4`` or ``wanda:50%``."""

    layer: int
    kind: str

    @property
    def step(self) -> Sparsify | Quantise:
        """The step, in this layer only."""
        (step,) = parse_spec(self.kind).steps
        assert isinstance(step, Sparsify | Quantise)
        return replace(step, layers=(self.layer,))


Candidate = Part | Lighter


def place(candidate: Candidate) -> tuple[int, str]:
    """What candidates are sorted by."""
    return candidate.layer, candidate.kind


def candidates(anatomy: Anatomy, kinds: Sequence[str]) -> list[Candidate]:
    """All of some kinds, from the bottom up."""
    within = [kind for kind in KINDS if kind in kinds]
    found: list[Candidate] = [sublayer.part for sublayer in (anatomy.sublayers(within) if within else ())]
    layers = [layer.index for layer in anatomy.need_layers()]
    if "block" in kinds:
        found += [Part(layer, "block") for layer in layers]
    if lighter := [kind for kind in kinds if kind not in PARTS]:
        matrices = weights(anatomy).matrices
        full = [layer for layer in layers if matrices[layer]]
        found += [Lighter(layer, kind) for kind in lighter for layer in full]
    return sorted(found, key=place)


def clash(one: Candidate, other: Candidate) -> bool:
    """Whether two do not go together: of one layer its attention and its MLP may, and nothing else."""
    return one.layer == other.layer and {one.kind, other.kind} != set(KINDS)


def as_spec(chosen: Collection[Candidate]) -> str:
    """``attn:[3,7]+mlp:[2]+int4@[5]``, ``dense`` for nothing."""
    listed: dict[str, list[int]] = {}
    for one in sorted(chosen, key=place):
        listed.setdefault(one.kind, []).append(one.layer)
    lighter = sorted(kind for kind in listed if kind not in PARTS)
    named = [f"{kind}:{_list(listed[kind])}" for kind in PARTS if kind in listed]
    return "+".join(named + [f"{kind}@{_list(listed[kind])}" for kind in lighter]) or "dense"


def _list(layers: Sequence[int]) -> str:
    return f"[{','.join(map(str, layers))}]"


Changed = Callable[[Collection[Candidate]], AbstractContextManager[object]]


def changing(lm: LanguageModel, calibration: Calibration = None, seed: int = 0) -> Changed:
    """A context in which ``lm`` is changed by a set of candidates; masks are calibrated on few tokens."""

    @contextmanager
    def changed(chosen: Collection[Candidate]) -> Iterator[None]:
        parts = [one for one in chosen if isinstance(one, Part)]
        spec = parse_spec(as_spec([one for one in chosen if isinstance(one, Lighter)]))
        with dropped(lm.anatomy, parts, verify=False), pruned(lm, spec, read(spec)):
            yield

    def read(spec: Spec) -> Calibration:
        return calibration_rows(lm, calibration, _MEASURED, seed) if needs_calibration(spec) else None

    return changed
