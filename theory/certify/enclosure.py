"""Intervals that contain the exact statistics of the given floats, rounding included (I3).

Logits of any floating dtype are taken as the real numbers they are. Every statistic is evaluated in interval
arithmetic, so that a bound evaluated at its outward ends holds for the exact value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from theory.certify.outward import ROUNDING, UNDERFLOW, Interval
from theory.drift.rows.logits import LogitRows, logit_rows
from theory.drift.rows.rows import row_chunks
from theory.drift.rows.stable import two_difference
from theory.drift.vectors import power_of_two

Columns = dict[str, Interval]
_LOW, _HIGH = ".low", ".high"
LARGEST = torch.finfo(torch.float64).max


class Enclosure(Mapping[str, tuple[Tensor, Tensor]]):
    """``enclosure[name]`` is (lower, upper), float64 tensors ``(...)`` around the exact column ``name``."""

    def __init__(self, columns: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def enclose(logits: Tensor, perturbed: Tensor, temperature: float = 1.0) -> Enclosure:
    """Enclose every statistic of the drift from softmax(logits/T) to softmax(perturbed/T).

    Logits ``(..., V)`` as for :func:`theory.measure`; the statistics are those columns of a ``Drift`` that
    bounds are written in, not the divergences that they bound. Typical relative width 1e-13.

    Raises
    ------
    ValueError
        As :func:`theory.measure`.
    """
    rows = logit_rows(logits, perturbed, temperature)
    ends = rows.on_supports(_ends)
    columns = {}
    for name in (key.removesuffix(_LOW) for key in ends if key.endswith(_LOW)):
        columns[name] = (ends[name + _LOW].reshape(rows.lead), ends[name + _HIGH].reshape(rows.lead))
    return Enclosure(columns)


def _ends(rows: LogitRows) -> dict[str, Tensor]:
    """Both ends of every column, each ``(rows,)``."""
    blocks = [
        _Rows(rows.z[some], rows.z_perturbed[some], rows.temperature).statistics()
        for some in row_chunks(rows.z)
    ]
    ends = {}
    for name in blocks[0]:
        ends[name + _LOW] = torch.cat([block[name].low for block in blocks])
        ends[name + _HIGH] = torch.cat([block[name].high for block in blocks])
    return ends


class _Rows:
    """Interval versions of what the statistics of ``(rows, V)`` logits are made of."""

    def __init__(self, logits: Tensor, perturbed: Tensor, temperature: float) -> None:
        self.z, self.z_perturbed = logits.double(), perturbed.double()
        self.temperature = Interval.exactly(torch.full_like(self.z[:, :1], temperature))
        self.high, self.low = two_difference(self.z_perturbed, self.z)
        self.y, self.y_perturbed = self._exponents(self.z), self._exponents(self.z_perturbed)

    def _exponents(self, logits: Tensor) -> Interval:
        largest = Interval.exactly(logits.amax(-1, keepdim=True))
        return (Interval.exactly(logits) - largest).over(self.temperature)

    def delta_from(self, place: Tensor) -> Interval:
        """delta - delta[place]; zero exactly where the two are equal.

        high - high[place] is exact (Sterbenz) unless it is large against both, so the relative error is below
        4 units and that of the low parts is below one unit of their own size.
        """
        high, low = self.high - self.high.gather(-1, place), self.low - self.low.gather(-1, place)
        temperature = self.temperature.low
        x = (high + low).div_(temperature)
        different = high.abs_().add_(low.abs_()).sign_()
        slack = low.div_(temperature).mul_(ROUNDING).add_(x.abs(), alpha=2 * ROUNDING)
        slack.add_(different, alpha=UNDERFLOW)
        return Interval(x - slack, x + slack)

    def statistics(self) -> Columns:
        """All enclosed columns, each ``(rows,)``."""
        found = self._shape(self.z, self.y) | self._spread() | self._vectors()
        found["entropy_perturbed"] = self._shape(self.z_perturbed, self.y_perturbed)["entropy"]
        found["temperature"] = self.temperature
        found["vocabulary"] = Interval.exactly(torch.full_like(self.z[:, :1], self.z.shape[-1]))
        return {name: Interval(part.low.squeeze(-1), part.high.squeeze(-1)) for name, part in found.items()}

    def _spread(self) -> Columns:
        weights = {
            "p": self.y,
            "q": self.y_perturbed,
            "r": self.y.scaled(2.0),
            "w": self.y + self.y_perturbed,
            "g": (self.y + self.y_perturbed).scaled(0.5),
            "u": Interval.exactly(torch.zeros_like(self.z)),
        }
        mass = {name: _weights(exponents) for name, exponents in weights.items()}
        anchored = self.delta_from(self.z.argmax(-1, keepdim=True)).low
        above = self.delta_from(anchored.argmin(-1, keepdim=True))
        under = -self.delta_from(anchored.argmax(-1, keepdim=True))
        least, most = _minimum(above), -_minimum(under)
        top = Interval(above.low.amax(-1, keepdim=True), above.high.amax(-1, keepdim=True))
        oscillation = _nonnegative(top - least)
        found = {f"var_{name}": self._variance(weight) for name, weight in mass.items()}
        for name in ("p", "r"):
            found[f"low_{name}"] = least - _mean(above, mass[name])
            found[f"high_{name}"] = most + _mean(under, mass[name])
        found = {name: part.zero_where(oscillation.high == 0) for name, part in found.items()}
        anywhere = Interval(torch.zeros_like(oscillation.high), oscillation.high)
        ratio = _log_probs(self.y_perturbed) - _log_probs(self.y)
        falls = Interval(-ratio.high.amin(-1, keepdim=True), -ratio.low.amin(-1, keepdim=True))
        rises = Interval(ratio.low.amax(-1, keepdim=True), ratio.high.amax(-1, keepdim=True))
        # From the averages where the ratios are small, from the ratios where an average overflows.
        return found | {
            "oscillation": oscillation,
            "rho_minus": anywhere.meet(falls).meet(_mean(above.expm1(), mass["p"]).log1p() - least),
            "rho_plus": anywhere.meet(rises).meet(_mean(under.expm1(), mass["q"]).log1p() + most),
        }

    def _variance(self, weights: Interval) -> Interval:
        """E (x-c)^2 - (E (x-c))^2 for a float c near the mean, so that what is subtracted is tiny."""
        x = self.delta_from(weights.high.argmax(-1, keepdim=True))
        centre = (weights.low * x.low).sum(-1, keepdim=True) / weights.low.sum(-1, keepdim=True)
        deviation = x - Interval.exactly(centre)
        square = deviation.squared().times_as_nonnegative(weights).total().over(weights.total())
        return _nonnegative(square - _mean(deviation, weights).squared())

    def _shape(self, logits: Tensor, y: Interval) -> Columns:
        """Columns about one distribution; the largest weight is e^0 = 1 exactly."""
        top = logits.argmax(-1, keepdim=True)
        weights = y.exp()
        others = Interval(*(end.scatter(-1, top, 0.0) for end in (weights.low, weights.high)))
        one = Interval.exactly(torch.ones_like(logits[:, :1]))
        rest = others.total()
        mass = one + rest
        square = one + others.squared().total()
        fourth = one + others.squared().squared().total()
        second = logits.scatter(-1, top, -torch.inf).amax(-1, keepdim=True)
        largest = logits.gather(-1, top)
        margin = (Interval.exactly(largest) - Interval.exactly(second)).over(self.temperature)
        return {
            "p_max": one.over(mass),
            "p_rest": rest.over(mass),
            "entropy": rest.log1p() - y.times(weights).total().over(mass),
            "gini_p": square.over(mass.squared()),
            "gini_r": fourth.over(square.squared()),
            "margin": margin
            if logits.shape[-1] > 1
            else Interval.exactly(torch.full_like(second, torch.inf)),
        }

    def _vectors(self) -> Columns:
        """Columns about z and D as vectors, each divided by a power of two so that no square underflows; nan
        where z = 0 and D is not, 0 where both are.
        """
        unit, step_unit = power_of_two(self.z), power_of_two(self.high)
        z = _over(self.z, unit)
        step = _over(self.high, step_unit) + _over(self.low, step_unit)
        norm_sq = z.squared().total()
        dense, moved = self.z / unit, self.high / step_unit
        share = (moved * dense).sum(-1, keepdim=True) / (dense * dense).sum(-1, keepdim=True)
        across = step - _product(z, Interval.exactly(share))
        left = _product(across, z).total().over(norm_sq).squared()
        orthogonal_sq = _nonnegative(across.squared().total().over(norm_sq) - left)
        ratio = Interval.exactly(step_unit).over(Interval.exactly(unit))
        size = Interval.exactly(unit)
        columns = {
            "norm_sq": norm_sq.times(size).times(size),
            "parallel": _product(step, z).total().over(norm_sq).times(ratio),
            "orthogonal_sq": orthogonal_sq.times(ratio).times(ratio),
        }
        zero, unmoved = ((side == 0).all(-1, keepdim=True) for side in (self.z, self.high))
        for name in ("parallel", "orthogonal_sq"):
            part = columns[name]
            undefined = torch.where(zero, torch.nan, torch.zeros_like(share))
            columns[name] = Interval(part.low.clamp(max=LARGEST) + undefined, part.high + undefined)
            columns[name] = columns[name].zero_where(unmoved)
        columns["norm_sq"] = _nonnegative(columns["norm_sq"]).zero_where(zero)
        return columns


def _over(x: Tensor, power_of_two: Tensor) -> Interval:
    """x over a power of two: exact unless that is too small for a float."""
    value = x / power_of_two
    slack = UNDERFLOW * ((value.abs() < 2.0**40 * UNDERFLOW) & (x != 0))
    return Interval(value - slack, value + slack)


def _product(x: Interval, y: Interval) -> Interval:
    """The product of intervals of either sign."""
    ends = torch.stack([x.low * y.low, x.low * y.high, x.high * y.low, x.high * y.high])
    return Interval(ends.amin(0), ends.amax(0)).times(Interval.exactly(torch.ones_like(x.low)))


def _weights(exponents: Interval) -> Interval:
    """Weights e^exponent up to a common factor, the largest near 1."""
    largest = exponents.low.amax(-1, keepdim=True)
    return (exponents - Interval.exactly(largest)).exp()


def _log_probs(exponents: Interval) -> Interval:
    mass = exponents.exp().total()
    return exponents - (mass - Interval.exactly(torch.ones_like(mass.low))).log1p()


def _mean(values: Interval, weights: Interval) -> Interval:
    return values.times(weights).total().over(weights.total())


def _minimum(values: Interval) -> Interval:
    """The least of values of which one is exactly 0."""
    least = values.low.amin(-1, keepdim=True)
    return Interval(least, torch.zeros_like(least))


def _nonnegative(x: Interval) -> Interval:
    return Interval(x.low.clamp(min=0), x.high)
