"""Family E: two tokens at a temperature: small drift, its peak, and the exact angle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sympy as sp
from mpmath import iv, mpf

from theory.formulas.claims import about, at_most, equal
from theory.formulas.formula import interval_function
from theory.formulas.functions.elementary import gudermann
from theory.formulas.symbols import cosdist_p, kl, parameter, temperature, tv
from theory.instances.instance import Instance
from theory.instances.random_vectors import angle
from theory.proofs.enumerated import near
from theory.proofs.relations import related, within
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import expansion, identity
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

T = temperature
gap = parameter("gap", "g", "difference of the two dense logits, first minus second", positive=False)
change = parameter("change", "d", "change of that difference", positive=False)

_y = sp.Symbol("y", positive=True)

_exact_kl = sp.log(1 + (sp.exp(change / T) - 1) / (1 + sp.exp(-gap / T))) - change / T / (
    1 + sp.exp(-gap / T)
)
_exact_tv = 1 / (1 + sp.exp(-(gap + change) / T)) - 1 / (1 + sp.exp(-gap / T))
_exact_angle = (gudermann((gap + change) / T) - gudermann(gap / T)) / 2
_small_cosine = change**2 * sp.sech(gap / T) ** 2 / (8 * T**2)
_small_kl = change**2 * sp.sech(gap / (2 * T)) ** 2 / (8 * T**2)
_small_tv = change * sp.sech(gap / (2 * T)) ** 2 / (4 * T)

PEAK_COSINE = mpf("1.199678640257733833916369848641141944261")
"""Root of x tanh x = 1."""
PEAK_TV = mpf("1.543404638418208447959338258083036278")
"""Root of y tanh(y/2) = 1."""


def _enclosed_roots() -> str:
    """Sign changes within 1e-15 of the two roots, in interval arithmetic at 200 bits."""
    saved, iv.prec = iv.prec, 200
    try:
        for root, expression in ((PEAK_COSINE, _y * sp.tanh(_y) - 1), (PEAK_TV, _y * sp.tanh(_y / 2) - 1)):
            function = interval_function(expression)
            low, high = (function(iv.mpf(root) * (1 + sign * iv.mpf("1e-15"))) for sign in (-1, 1))
            if not low.b < 0 < high.a:
                raise StepFailedError(f"{expression} has no sign change around {root}")
    finally:
        iv.prec = saved
    return "signs change within 1e-15 of 1.1996786 and 1.5434046"


def _derivative(exact: Any, order: int) -> Any:
    return sp.diff(exact, change, order).subs(change, 0)


_cosine_law, _kl_law, _tv_law = (about(cosdist_p, _small_cosine), about(kl, _small_kl), about(tv, _small_tv))


def _small_changes() -> Iterator[Mapping[str, Any]]:
    d = mpf("1e-6")
    for g in (mpf(-2), mpf(0), mpf("0.7"), mpf(5)):
        for t in (mpf("0.5"), mpf(2)):
            x = Instance([g / t, mpf(0)], [d / t, mpf(0)])
            yield {"gap": g, "change": d, "temperature": t, **x.columns(("cosdist_p", "kl", "tv"))}


E5 = Theorem(
    id="E5",
    name="temperature-law",
    title="Temperature law of two competing tokens",
    statement="Two tokens at logit gap g whose gap changes by a small d: 1 - cos is about d^2 "
    "sech^2(g/T)/(8T^2), KL about d^2 sech^2(g/2T)/(8T^2), TV about |d| sech^2(g/2T)/(4T). If g is not 0, "
    "each vanishes at small and at large temperature and peaks at T* = |g|/1.199679 (cosine), |g|/2.399357 "
    "(KL), |g|/1.543405 (TV). At a tie, g = 0, TV grows to 1/2 as T falls.",
    status=Status.ASYMPTOTIC,
    hypotheses=(
        "V = 2, or all other tokens negligible",
        "d is small against T",
        "for the behaviour in T: g is not 0 and |d| < |g|",
        "d > 0 for TV",
    ),
    claims=(_cosine_law, _kl_law, _tv_law),
    derivation=(
        identity("KL: no first-order term", _derivative(_exact_kl, 1), sp.Integer(0)),
        identity(
            "KL: second order is the variance t(1-t) d^2/(2T^2), t = sigma(g/T)",
            (_derivative(_exact_kl, 2) * change**2 / 2).rewrite(sp.exp),
            _small_kl.rewrite(sp.exp),
        ),
        identity(
            "TV: first order",
            (_derivative(_exact_tv, 1) * change).rewrite(sp.exp),
            _small_tv.rewrite(sp.exp),
        ),
        identity(
            "gd' = sech",
            sp.diff(sp.atan(sp.tanh(_y / 2)) * 2, _y).rewrite(sp.exp),
            sp.sech(_y).rewrite(sp.exp),
        ),
        argument("1 - cos is half the squared angle, and the angle is d sech(g/T)/(2T) to first order (E7)."),
        identity(
            "y^2 sech^2 y, y = g/T, is stationary where y tanh y = 1 (cosine; KL with y = g/2T)",
            sp.diff(_y**2 / sp.cosh(_y) ** 2, _y),
            2 * _y * (1 - _y * sp.tanh(_y)) / sp.cosh(_y) ** 2,
        ),
        identity(
            "y sech^2(y/2), y = g/T, is stationary where y tanh(y/2) = 1 (TV)",
            sp.diff(_y / sp.cosh(_y / 2) ** 2, _y),
            (1 - _y * sp.tanh(_y / 2)) / sp.cosh(_y / 2) ** 2,
        ),
        identity(
            "y tanh y increases, so each peak is the only one",
            sp.diff(_y * sp.tanh(_y), _y),
            sp.tanh(_y) + _y / sp.cosh(_y) ** 2,
        ),
        near(
            "All three on two tokens whose gap changes by 1e-6",
            (_cosine_law, _kl_law, _tv_law),
            _small_changes,
            1e-4,
        ),
        computed("The roots are 1.199678640... and 1.543404638...", Method.INTERVAL, _enclosed_roots),
        identity("the laws are even in g", _small_tv, _small_tv.subs(gap, -gap)),
        identity(
            "at a tie TV is tanh(d/2T)/2, which tends to 1/2",
            _exact_tv.subs(gap, 0),
            sp.tanh(change / (2 * T)) / 2,
        ),
    ),
    limit=expansion(
        "T -> infinity, u = 1/T: 1 - cos is d^2 u^2/8, T2 with r uniform",
        (_small_cosine.subs(T, 1 / _y)).rewrite(sp.exp),
        _y,
        change**2 * _y**2 / 8,
    ),
    source="new",
)


def _two_tokens(g: Any, d: Any, scale: Any) -> Instance:
    return Instance([g / scale, mpf(0)], [d / scale, mpf(0)])


def _hotter_is_worse() -> tuple[Any, Any]:
    hot, cold = (_two_tokens(mpf(3), mpf("0.1"), t).column("tv") for t in (mpf(3) / PEAK_TV, mpf("0.5")))
    return hot, cold


E5x = Theorem(
    id="E5x",
    name="temperature-damps-drift",
    title="Folklore: a higher temperature always damps the drift",
    statement="Drift falls as the temperature rises, because delta = D/T does. It is not monotone: at low "
    "temperature the distribution is one-hot and does not move; the worst temperature lies in between.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "gap 3, change 0.1: total variation at T = 1.94 and at T = 0.5", _hotter_is_worse
    ),
)

angle_p = 2 * sp.asin(sp.sqrt(cosdist_p / 2))
_halfway = gudermann(change / (2 * T))


def _two_token_angles() -> Iterator[Relation]:
    for g, d, t in (
        ("1", "0.3", "1"),
        ("-2", "4", "0.7"),
        ("5", "-1", "2"),
        ("-1", "2", "1"),
        ("0", "1e-9", "1"),
    ):
        g_, d_, t_ = mpf(g), mpf(d), mpf(t)
        pair = _two_tokens(g_, d_, t_)
        value = angle(pair.p, pair.q)
        yield value, "=", E7.claims[0].bounds[0].exact(gap=g_, change=d_, temperature=t_)
        yield from within(E7.claims[1], value, change=abs(d_), temperature=t_)


E7 = Theorem(
    id="E7",
    name="two-token-angle",
    title="Two tokens: the angle is a difference of Gudermannians",
    statement="For V = 2 the angle between p and q is |gd((g+d)/T) - gd(g/T)|/2, and over all gaps g it is "
    "at most gd(|d|/2T), attained at g = -d/2, where q is p with its atoms exchanged.",
    status=Status.SHARP,
    hypotheses=("V = 2", "d > 0 in the bound (else use |d|)"),
    claims=(
        equal(angle_p, sp.Abs(gudermann((gap + change) / T) - gudermann(gap / T)) / 2),
        at_most(angle_p, _halfway, increasing=("change",)),
    ),
    derivation=(
        identity(
            "arctan e^x = pi/4 + gd(x)/2: equal derivatives",
            sp.diff(sp.atan(sp.exp(_y)), _y),
            sp.diff(sp.atan(sp.tanh(_y / 2)), _y),
        ),
        identity("... and equal values at 0", sp.atan(sp.exp(sp.Integer(0))), sp.pi / 4),
        argument(
            "(e^x, 1) makes the angle pi/2 - arctan e^x with the first axis; p and q are two such vectors."
        ),
        identity(
            "sech((g+d)/T) = sech(g/T) at g = -d/2: the angle is stationary there",
            (sp.sech((gap + change) / T) - sp.sech(gap / T)).subs(gap, -change / 2),
            sp.Integer(0),
        ),
        argument(
            "sech is even and decreasing in |x|, so an interval of length d/T has most of its mass about 0."
        ),
        related("Five pairs at 120 digits", _two_token_angles),
    ),
    witnesses=(
        Witness(
            "the swap g = -d/2",
            lambda d: ([-d / 2, mpf(0)], [d, mpf(0)]),
            claim=1,
            values=lambda d: {"change": d, "temperature": mpf(1)},
        ),
    ),
    limit=expansion(
        "gd(d/2T) = d/(2T) - d^3/(48 T^3)", _halfway, change, change / (2 * T) - change**3 / (48 * T**3)
    ),
    source="new; B7 for two tokens",
)

THEOREMS = (E5, E5x, E7)
