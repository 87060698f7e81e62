"""One draw in high precision: the judge of every draw that float64 finds suspicious.

The columns are computed from the definitions in time linear in the vocabulary, independently of
``theory.measure``. The logits and the temperature are taken as the exact numbers that their floats are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import mpmath
from mpmath import mpf

from theory.formulas.claims import Bound, Claim

DIGITS = 60
"""Decimal digits that must survive after cancellation has taken those of the smallest probability."""
MAX_DIGITS = 20_000
TOLERANCE = mpf(10) ** -30
"""Relative excess that counts as a violation: far above this evaluation's rounding, far below float64's."""

Number = Any  # mpmath.mpf


class ExactDraw:
    """All columns of one pair of logits ``(V,)`` by definition, at enough digits to resolve every atom."""

    def __init__(self, logits: Sequence[float], perturbed: Sequence[float], temperature: float) -> None:
        spread = max(max(logits) - min(logits), max(perturbed) - min(perturbed))
        # Divergences are differences of numbers near 1 whose result may be as small as the square of an
        # atom, or of delta; formulas lose as much again of delta.
        smallest = _smallest_difference(logits, perturbed)
        lost = 2 * spread / temperature / math.log(10) + 4 * max(0.0, -math.log10(smallest / temperature))
        self._known: dict[str, Number] = {}
        self.digits = min(MAX_DIGITS, DIGITS + int(lost))
        self._floats = list(logits), list(perturbed)
        self.temperature = mpf(temperature)

    # Numbers of this precision are large objects: of a whole vocabulary only p and q are kept.

    @property
    def z(self) -> list[Number]:
        return [mpf(x) for x in self._floats[0]]

    @property
    def changed(self) -> list[Number]:
        return [mpf(x) for x in self._floats[1]]

    @property
    def delta(self) -> list[Number]:
        return [(mpf(y) - mpf(x)) / self.temperature for x, y in zip(*self._floats, strict=True)]

    @cached_property
    def p(self) -> list[Number]:
        return self._softmax(self._floats[0])

    @cached_property
    def q(self) -> list[Number]:
        return self._softmax(self._floats[1])

    def _softmax(self, logits: Sequence[float]) -> list[Number]:
        top = mpf(max(logits))
        return _normalised([mpmath.exp((mpf(x) - top) / self.temperature) for x in logits])

    @property
    def log_ratio(self) -> Iterator[Number]:
        return (mpmath.log(b / a) for a, b in zip(self.p, self.q, strict=True))

    def column(self, name: str) -> Number:
        """Column ``name`` of ``Drift``."""
        if name not in self._known:
            with mpmath.workdps(self.digits):
                self._known[name] = _COLUMNS[name](self)
        return self._known[name]

    def _power(self, dense: Number, perturbed: Number) -> list[Number]:
        return _normalised([a**dense * b**perturbed for a, b in zip(self.p, self.q, strict=True)])

    def _centred(self, dense: int) -> list[Number]:
        centre = _mean(self._power(dense, 0), self.delta)
        return [x - centre for x in self.delta]


def _smallest_difference(logits: Sequence[float], perturbed: Sequence[float]) -> float:
    """Least nonzero change of a logit, or of one change against another: a shift may hide tiny changes."""
    changes = {Fraction(b) - Fraction(a) for a, b in zip(logits, perturbed, strict=True)} | {Fraction(0)}
    gaps = (high - low for low, high in pairwise(sorted(changes)))
    return float(min(gaps, default=Fraction(1)))


def violated(claim: Claim, draw: ExactDraw) -> bool:
    """Whether a proved bound of the claim fails for this draw by more than ``TOLERANCE`` relative.

    The symbols of a claim are positive; a draw that makes its formula 0/0 (p = q, z = 0) is outside of it.
    """
    with mpmath.workdps(draw.digits):
        try:
            return draw.column("oscillation") > 0 and _exceeds(claim, draw)
        except ZeroDivisionError:
            return False


def _exceeds(claim: Claim, draw: ExactDraw) -> bool:
    sides = [bound.side for bound in claim.bounds if _applies(bound, draw)]
    return any(exact_tightness(claim, side, draw) > 1 + TOLERANCE for side in sides)


def exact_tightness(claim: Claim, side: str, draw: ExactDraw) -> Number:
    """quantity/upper or lower/quantity at mpmath's current precision; 1 where both are 0."""
    bound = claim.upper if side == "upper" else claim.lower
    assert bound is not None
    value = mpmath.re(claim.measured.exact(**_columns(draw, claim.measured.symbols)))
    limit = mpmath.re(bound.exact(**_columns(draw, bound.symbols)))
    small, large = (value, limit) if side == "upper" else (limit, value)
    if large == 0:
        return mpf(1) if small <= 0 else mpmath.inf
    return small / large


def _applies(bound: Bound, draw: ExactDraw) -> bool:
    if bound.when is None:
        return True
    return bool(
        bound.when.subs({symbol: draw.column(str(symbol.name)) for symbol in bound.when.free_symbols})
    )


def _columns(draw: ExactDraw, names: Sequence[str]) -> dict[str, Number]:
    return {name: draw.column(name) for name in names}


def _normalised(weights: list[Number]) -> list[Number]:
    """In place."""
    total = mpmath.fsum(weights)
    for k, weight in enumerate(weights):
        weights[k] = weight / total
    return weights


def _mean(weights: list[Number], values: list[Number]) -> Number:
    return mpmath.fsum(w * x for w, x in zip(weights, values, strict=True))


def _variance(weights: list[Number], values: list[Number]) -> Number:
    centre = _mean(weights, values)
    return mpmath.fsum(w * (x - centre) ** 2 for w, x in zip(weights, values, strict=True))


def _kl(a: list[Number], b: list[Number]) -> Number:
    return mpmath.fsum(x * mpmath.log(x / y) for x, y in zip(a, b, strict=True))


def _chi2(a: list[Number], b: list[Number]) -> Number:
    return mpmath.fsum((x - y) ** 2 / y for x, y in zip(a, b, strict=True))


def _dot(a: list[Number], b: list[Number]) -> Number:
    return mpmath.fsum(x * y for x, y in zip(a, b, strict=True))


def _cosdist(a: list[Number], b: list[Number]) -> Number:
    # sin^2/(1 + cos) needs no more digits than the difference of unit vectors
    length_a, length_b = mpmath.sqrt(_dot(a, a)), mpmath.sqrt(_dot(b, b))
    return mpmath.fsum((x / length_a - y / length_b) ** 2 for x, y in zip(a, b, strict=True)) / 2


def _js(draw: ExactDraw) -> Number:
    middle = [(a + b) / 2 for a, b in zip(draw.p, draw.q, strict=True)]
    return (_kl(draw.p, middle) + _kl(draw.q, middle)) / 2


def _uniform_centred(values: list[Number]) -> list[Number]:
    centre = mpmath.fsum(values) / len(values)
    return [x - centre for x in values]


def _margin(draw: ExactDraw) -> Number:
    first, second = sorted(draw.z, reverse=True)[:2]
    return (first - second) / draw.temperature


def _parallel(draw: ExactDraw) -> Number:
    change = [y - x for x, y in zip(draw.z, draw.changed, strict=True)]
    return _dot(change, draw.z) / _dot(draw.z, draw.z)


def _orthogonal_sq(draw: ExactDraw) -> Number:
    share = _parallel(draw)
    rest = [y - x - share * x for x, y in zip(draw.z, draw.changed, strict=True)]
    return _dot(rest, rest) / _dot(draw.z, draw.z)


_HALF = mpf("0.5")

_COLUMNS: dict[str, Callable[[ExactDraw], Number]] = {
    "kl": lambda d: _kl(d.p, d.q),
    "kl_reverse": lambda d: _kl(d.q, d.p),
    "js": _js,
    "tv": lambda d: mpmath.fsum(abs(a - b) for a, b in zip(d.p, d.q, strict=True)) / 2,
    "hellinger_sq": lambda d: (
        mpmath.fsum((mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 for a, b in zip(d.p, d.q, strict=True)) / 2
    ),
    "chi2": lambda d: _chi2(d.q, d.p),
    "chi2_reverse": lambda d: _chi2(d.p, d.q),
    "cosdist_p": lambda d: _cosdist(d.p, d.q),
    "cosdist_z": lambda d: _cosdist(d.z, d.changed),
    "cosdist_z_centred": lambda d: _cosdist(_uniform_centred(d.z), _uniform_centred(d.changed)),
    "oscillation": lambda d: max(d.delta) - min(d.delta),
    "rho_plus": lambda d: max(d.log_ratio),
    "rho_minus": lambda d: -min(d.log_ratio),
    "low_p": lambda d: min(d._centred(1)),
    "high_p": lambda d: max(d._centred(1)),
    "low_r": lambda d: min(d._centred(2)),
    "high_r": lambda d: max(d._centred(2)),
    "p_max": lambda d: max(d.p),
    "p_rest": lambda d: mpmath.fsum(sorted(d.p)[:-1]),
    "var_p": lambda d: _variance(d.p, d.delta),
    "var_q": lambda d: _variance(d.q, d.delta),
    "var_r": lambda d: _variance(d._power(2, 0), d.delta),
    "var_w": lambda d: _variance(d._power(1, 1), d.delta),
    "var_g": lambda d: _variance(d._power(_HALF, _HALF), d.delta),
    "var_u": lambda d: _variance(d._power(0, 0), d.delta),
    "entropy": lambda d: -mpmath.fsum(a * mpmath.log(a) for a in d.p),
    "entropy_perturbed": lambda d: -mpmath.fsum(a * mpmath.log(a) for a in d.q),
    "gini_p": lambda d: _dot(d.p, d.p),
    "gini_r": lambda d: _dot(d._power(2, 0), d._power(2, 0)),
    "parallel": _parallel,
    "orthogonal_sq": _orthogonal_sq,
    "norm_sq": lambda d: _dot(d.z, d.z),
    "margin": _margin,
    "option_mass": lambda d: mpf(1),
    "option_mass_perturbed": lambda d: mpf(1),
    "temperature": lambda d: d.temperature,
    "vocabulary": lambda d: mpf(len(d.p)),
}
