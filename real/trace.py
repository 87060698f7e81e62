"""Trace a perturbation from hidden state over logits to probabilities, teacher-forced: all positions at once.

*Single sublayers* (:func:`trace_sublayers`): one dense forward pass collects the residual stream; dropping
one sublayer alone compares the residual point with and without it through the final norm and the head.
Neighbouring sublayers share their head products. *Joint* (:func:`trace_joint`): two passes over the same
tokens, dense and pruned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import LongTensor, Tensor

from real.anatomy import anatomy
from real.calibration import Calibration
from real.load import LanguageModel
from real.parts import KINDS, AnatomyError, Kind, Sublayer
from real.pruning import pruned
from real.score import final_hidden, head_logits, row_chunks
from real.spec import Spec, parse_spec
from real.stream import Stream, StreamPair, stream
from theory import Drift, VectorDrift, measure, measure_vectors, token_log_probs


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


@dataclass(frozen=True)
class LogitPair:
    """Lens logits ``(rows, V)`` with and without one sublayer, for a slice of the positions."""

    sublayer: Sublayer
    rows: slice
    dense: Tensor
    dropped: Tensor


@dataclass(frozen=True)
class JointTrace:
    """Drift from the dense to a pruned model on the same tokens.

    hidden: of the head's input (after the final norm, ``last_hidden_state`` of the model). logits: of the
    model's logits. log_ratio ``(B, T-1)``: log q(x_{t+1} | x_<=t) - log p(x_{t+1} | x_<=t), q the pruned
    model. dense_argmax, pruned_argmax ``(B, T)``: most probable next tokens. At positions that were not
    chosen, hidden and logits have no row, log_ratio is NaN and the argmaxes are -1.
    """

    spec: Spec
    hidden: VectorDrift
    logits: Drift
    log_ratio: Tensor
    dense_argmax: Tensor
    pruned_argmax: Tensor


def trace_sublayers(
    lm: LanguageModel,
    tokens: Tensor,
    kinds: Sequence[Kind] = KINDS,
    temperature: float = 1.0,
    final_norm: bool = True,
    *,
    layers: Collection[int] | None = None,
    positions: Tensor | None = None,
) -> Iterator[SublayerTrace]:
    """Yield the drift of every sublayer dropped alone, in the order of computation; one dense forward pass.

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
    chosen = _chosen(tokens, positions)
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
    yield from _logit_pairs(lm, _seen(lm, tokens, kinds, layers), _chosen(tokens, positions), final_norm)


def _seen(lm: LanguageModel, tokens: Tensor, kinds: Sequence[Kind], layers: Collection[int] | None) -> Stream:
    found = anatomy(lm.model)
    if found.head is None:
        raise AnatomyError(f"{type(lm.model).__name__} has no language-model head, so no logits to trace")
    found.sublayers(kinds)  # raises where the model has none
    seen = stream(found, tokens.to(lm.device), tuple(kinds))
    if layers is not None:
        seen.pairs = [pair for pair in seen.pairs if pair.sublayer.layer in layers]
    return seen


def _chosen(tokens: Tensor, positions: Tensor | None) -> Tensor:
    """Boolean ``(B * T,)``."""
    if positions is None:
        return torch.ones(tokens.numel(), dtype=torch.bool)
    if positions.shape != tokens.shape or positions.dtype != torch.bool:
        raise ValueError(
            f"positions must be boolean of the tokens' shape {tuple(tokens.shape)}, "
            f"got {positions.dtype} {tuple(positions.shape)}"
        )
    return positions.reshape(-1).cpu()


def _rows(seen: Stream, index: int, chosen: Tensor) -> Tensor:
    """One residual point at the chosen positions, ``(N, d)``."""
    return seen.points[index].flatten(0, 1)[chosen.to(seen.points[index].device)]


def _hidden_drift(seen: Stream, pair: StreamPair, chosen: Tensor) -> VectorDrift:
    return measure_vectors(_rows(seen, pair.dense, chosen), _rows(seen, pair.dropped, chosen))


def _logit_pairs(lm: LanguageModel, seen: Stream, chosen: Tensor, final_norm: bool) -> Iterator[LogitPair]:
    """Positions outside, sublayers inside: neighbours share a residual point, hence its logits."""
    found = anatomy(lm.model)
    assert found.head is not None
    for rows in row_chunks(int(chosen.sum()), found.head.vocabulary):

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


def trace_joint(
    lm: LanguageModel,
    specs: Iterable[str | Spec],
    tokens: Tensor,
    temperature: float = 1.0,
    *,
    calibration: Calibration = None,
    positions: Tensor | None = None,
    seed: int = 0,
) -> Iterator[JointTrace]:
    """Yield the drift of the model pruned by each spec, on the same tokens ``(B, T)``.

    One forward pass per model; the head is applied to a few positions at a time. Arguments as in
    :func:`trace_sublayers` and :func:`real.pruned`.
    """
    chosen = _chosen(tokens, positions)
    shape = tokens.shape if positions is None else (int(chosen.sum()),)
    dense = final_hidden(lm, tokens)
    for spec in map(parse_spec, specs):
        with pruned(lm, spec, calibration, seed):
            other = final_hidden(lm, tokens)
        states = dense.flatten(0, 1)[chosen], other.flatten(0, 1)[chosen]
        following = _following(tokens)[chosen]
        parts = list(_compare(lm, states, following, temperature))
        yield JointTrace(
            spec,
            measure_vectors(*states).reshape(*shape),
            Drift.cat([part.drift for part in parts]).reshape(*shape),
            _spread(torch.cat([part.log_ratio for part in parts]), chosen, tokens, float("nan"))[:, :-1],
            _spread(torch.cat([part.dense_argmax for part in parts]), chosen, tokens, -1),
            _spread(torch.cat([part.pruned_argmax for part in parts]), chosen, tokens, -1),
        )


def joint_log_ratio(
    lm: LanguageModel,
    specs: Iterable[str | Spec],
    tokens: Tensor,
    temperature: float = 1.0,
    *,
    calibration: Calibration = None,
    positions: Tensor | None = None,
    seed: int = 0,
) -> Iterator[Tensor]:
    """Yield only :attr:`JointTrace.log_ratio` ``(B, T-1)`` per spec: all that sequence bounds (J1) need."""
    chosen = _chosen(tokens, positions)
    following = _following(tokens)[chosen]
    dense = _log_probs(lm, final_hidden(lm, tokens), chosen, following, temperature)
    for spec in map(parse_spec, specs):
        with pruned(lm, spec, calibration, seed):
            other = _log_probs(lm, final_hidden(lm, tokens), chosen, following, temperature)
        yield _spread(other - dense, chosen, tokens, float("nan"))[:, :-1]


@dataclass(frozen=True)
class _Compared:
    drift: Drift
    log_ratio: Tensor
    dense_argmax: Tensor
    pruned_argmax: Tensor


def _compare(
    lm: LanguageModel, states: tuple[Tensor, Tensor], following: Tensor, temperature: float
) -> Iterator[_Compared]:
    for rows in row_chunks(len(following), _vocabulary(lm)):
        dense, other = (head_logits(lm, state[rows]) for state in states)
        wanted = following[rows].to(dense.device)
        ratio = token_log_probs(other, wanted, temperature) - token_log_probs(dense, wanted, temperature)
        yield _Compared(
            measure(dense, other, temperature), ratio.cpu(), dense.argmax(-1).cpu(), other.argmax(-1).cpu()
        )


def _log_probs(
    lm: LanguageModel, states: Tensor, chosen: Tensor, following: Tensor, temperature: float
) -> Tensor:
    """Float64 log-probabilities ``(N,)`` of the following tokens at the chosen positions."""
    picked = states.flatten(0, 1)[chosen]
    slices = row_chunks(len(following), _vocabulary(lm))
    parts = [
        token_log_probs(head_logits(lm, picked[s]), following[s].to(picked.device), temperature).cpu()
        for s in slices
    ]
    return torch.cat(parts)


def _vocabulary(lm: LanguageModel) -> int:
    head = anatomy(lm.model).head
    if head is None:
        raise AnatomyError(f"{type(lm.model).__name__} has no language-model head, so no logits to trace")
    return head.vocabulary


def _following(tokens: Tensor) -> LongTensor:
    """The token after each position, flattened; the last position has none: token 0, cut off later."""
    shifted = torch.zeros_like(tokens)
    shifted[:, :-1] = tokens[:, 1:]
    return shifted.reshape(-1)  # type: ignore[return-value]


def _spread(values: Tensor, chosen: Tensor, tokens: Tensor, empty: float) -> Tensor:
    """Put values of the chosen positions back into ``(B, T)``."""
    full = torch.full((tokens.numel(),), empty, dtype=values.dtype)
    full[chosen] = values
    return full.reshape(tokens.shape)
