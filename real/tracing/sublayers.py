"""Drop one sublayer alone: residual stream and lens logits with and without it, from one dense forward pass.

The residual point with and without the sublayer goes through the final norm and the head; neighbouring
sublayers share their head products.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.apply import pruned, unpruned
from real.pruning.calibration import Calibration
from real.pruning.spec import Drop, Spec, SpecError, parse_spec
from real.structure.anatomy import KINDS, Kind, Sublayer
from real.structure.part import Part
from real.structure.stream import Stream, StreamPair, stream, substitute
from real.text.passes import logit_slices
from real.tracing.positions import chosen_positions
from theory import Drift, VectorDrift, measure, measure_vectors


@dataclass(frozen=True)
class SublayerTrace:
    """Drift caused at every position by dropping one sublayer alone, in the dense context.

    hidden: of the residual stream just after the sublayer writes, before any final norm.
    logits: of the lens logits at that point. Shapes ``(B, T)``, or ``(N,)`` for N chosen positions.
    """

    kind: Kind
    layer: int
    hidden: VectorDrift
    logits: Drift

    def __str__(self) -> str:
        return str(Part(self.layer, self.kind))


@dataclass(frozen=True)
class LogitPair:
    """Lens logits ``(rows, V)`` with and without one sublayer, for a slice of the positions."""

    sublayer: Sublayer
    rows: slice
    dense: Tensor
    dropped: Tensor


def trace_sublayers(
    lm: LanguageModel,
    tokens: Tensor,
    kinds: Sequence[Kind] = KINDS,
    temperature: float = 1.0,
    final_norm: bool = True,
    *,
    layers: Collection[int] | None = None,
    positions: Tensor | None = None,
    spec: str | Spec | None = None,
    calibration: Calibration = None,
    seed: int = 0,
) -> Iterator[SublayerTrace]:
    """Yield the drift of every sublayer dropped alone, in the order of computation; one dense forward pass.

    With a weight-pruning ``spec``: of every sublayer alone replaced by its pruned version, on the dense
    model's inputs (one more pass per kind of sublayer).

    Parameters
    ----------
    tokens:
        Token ids ``(B, T)``, right-padded if at all.
    final_norm:
        False leaves the final norm out of the lens, as the paper's scripts do.
    layers:
        Only sublayers of these layers.
    positions:
        Boolean ``(B, T)``: measure only there; the traces then have shape ``(N,)``.
    """
    seen = _seen(lm, tokens, kinds, layers)
    if spec is not None:
        _substitute_pruned(lm, seen, tokens, parse_spec(spec), calibration, seed)
    chosen = chosen_positions(tokens, positions)
    shape = tokens.shape if positions is None else (int(chosen.sum()),)
    hidden = {pair.sublayer: _hidden_drift(seen, pair, chosen) for pair in seen.pairs}
    blocks: dict[Sublayer, list[Drift]] = {pair.sublayer: [] for pair in seen.pairs}
    for pair in _logit_pairs(lm, seen, chosen, final_norm):
        blocks[pair.sublayer].append(measure(pair.dense, pair.dropped, temperature))
        if pair.rows.stop == chosen.sum():
            where = pair.sublayer
            logits = Drift.cat(blocks.pop(where)).reshape(*shape)
            yield SublayerTrace(where.kind, where.layer, hidden.pop(where).reshape(*shape), logits)


def sublayer_logits(
    lm: LanguageModel,
    tokens: Tensor,
    kinds: Sequence[Kind] = KINDS,
    final_norm: bool = True,
    *,
    layers: Collection[int] | None = None,
    positions: Tensor | None = None,
) -> Iterator[LogitPair]:
    """Yield the lens logits that :func:`trace_sublayers` measures, a slice of positions at a time."""
    yield from _logit_pairs(
        lm, _seen(lm, tokens, kinds, layers), chosen_positions(tokens, positions), final_norm
    )


def _seen(lm: LanguageModel, tokens: Tensor, kinds: Sequence[Kind], layers: Collection[int] | None) -> Stream:
    lm.anatomy.need_head()
    lm.anatomy.sublayers(kinds)  # raises where the model has none
    seen = stream(lm.anatomy, tokens.to(lm.device), tuple(kinds))
    if layers is not None:
        seen.pairs = [pair for pair in seen.pairs if pair.sublayer.layer in layers]
    return seen


def _substitute_pruned(
    lm: LanguageModel, seen: Stream, tokens: Tensor, spec: Spec, calibration: Calibration, seed: int
) -> None:
    """Replace each pair's second point by what the pruned sublayer makes of the dense model's input."""
    if any(isinstance(step, Drop) for step in spec.steps):
        raise SpecError(
            f"spec {str(spec)!r}: only weight pruning has a pruned version of a sublayer to compare"
        )
    found = lm.anatomy
    inputs = [seen.points[i] for i in seen.inputs]
    with pruned(lm, spec, calibration, seed) as applied:
        for kind in sorted({pair.sublayer.kind for pair in seen.pairs}):
            others = [s.modules for s in found.sublayers() if s.kind != kind]
            with unpruned(applied, [module for modules in others for module in modules]):
                substitute(seen, stream(found, tokens.to(lm.device), (kind,), inputs), kind)


def _rows(seen: Stream, index: int, chosen: Tensor) -> Tensor:
    """One residual point at the chosen positions, ``(N, d)``."""
    return seen.points[index].flatten(0, 1)[chosen.to(seen.points[index].device)]


def _hidden_drift(seen: Stream, pair: StreamPair, chosen: Tensor) -> VectorDrift:
    return measure_vectors(_rows(seen, pair.dense, chosen), _rows(seen, pair.dropped, chosen))


def _logit_pairs(lm: LanguageModel, seen: Stream, chosen: Tensor, final_norm: bool) -> Iterator[LogitPair]:
    """Positions outside, sublayers inside: neighbours share a residual point, hence its logits."""
    found = lm.anatomy
    for rows in logit_slices(int(chosen.sum()), found.need_head().vocabulary):

        def lens(index: int, rows: slice = rows) -> Tensor:
            return found.logits_from_hidden(_rows(seen, index, chosen)[rows], final_norm)

        logits = _Lens(lens)
        for pair in seen.pairs:
            dropped = logits[pair.dropped]  # first: in sequential layers the neighbour before left it there
            yield LogitPair(pair.sublayer, rows, logits[pair.dense], dropped)


class _Lens:
    """Logits of residual points by index; the last two are remembered."""

    def __init__(self, compute: Callable[[int], Tensor]) -> None:
        self._compute = compute
        self._kept: OrderedDict[int, Tensor] = OrderedDict()

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._kept:
            self._kept[index] = self._compute(index)
        self._kept.move_to_end(index)
        while len(self._kept) > 2:
            self._kept.popitem(last=False)
        return self._kept[index]
