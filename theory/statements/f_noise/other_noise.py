"""Family F: noise that is not Gaussian: other limit laws, and the same kind of bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf
from scipy import stats

from theory.effects.expectations import expected_cosdist, expected_kl
from theory.formulas.claims import Bound, Claim, Estimate, about, at_most
from theory.formulas.functions.elementary import coth_excess, kl_max, log_cosh, log_sinhc
from theory.formulas.symbols import gini_r, oscillation, parameter
from theory.instances.random_vectors import escort, zipf
from theory.proofs.conclusion import concludes
from theory.proofs.relations import related, within
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.statements.f_noise.curves import mean_cosdist, mean_log_cos
from theory.statements.f_noise.noise import mean_kl
from theory.theorems.theorem import Counterexample, Status, Theorem

half_width = parameter("half_width", "c", "uniform noise is on [-c, c]")
laplace_scale = parameter("laplace_scale", r"b_{\mathrm{L}}", "scale of Laplace noise, variance 2 b^2")
_x = sp.Symbol("x", positive=True)


def _growth(s: int) -> Any:
    """Lambda(s) of uniform noise."""
    return log_sinhc(s * half_width)


_excess = sp.exp(_growth(3) - _growth(1) - _growth(2)) - 1
_cosine_floor = sp.exp(_growth(1) - _growth(2) / 2) / sp.sqrt(1 + gini_r * _excess)


def _growth_functions() -> bool:
    """Moment generating functions of uniform and Laplace noise."""
    u, s, c = sp.symbols("u s c", positive=True)
    uniform = sp.integrate(sp.exp(s * u), (u, -c, c)) / (2 * c) - sp.sinh(s * c) / (s * c)
    rate = sp.Symbol("rate", positive=True)  # 1/b - s, positive where the integral exists
    upper = sp.integrate(sp.exp(-rate * u), (u, 0, sp.oo)) - 1 / rate
    two_sided = (1 / (1 / c - s) + 1 / (1 / c + s)) / (2 * c) - 1 / (1 - (c * s) ** 2)
    return bool(sp.simplify(uniform.rewrite(sp.exp)) == 0 and upper == 0 and sp.simplify(two_sided) == 0)


def _jensen() -> Iterator[Relation]:
    for p in (zipf(3), zipf(60), np.full(500, 1 / 500)):
        for c in (0.1, 1.2, 4.0):
            law = stats.uniform(-c, 2 * c)
            yield from within(F8.claims[0], mpf(expected_kl(p, law)), half_width=mpf(c))
            symbols = {"half_width": mpf(c), "gini_r": mpf(float(escort(p) @ escort(p)))}
            yield from within(F8.claims[4], mpf(expected_cosdist(p, law)), **symbols)
        for scale in (0.1, 0.5, 0.8):
            value = mpf(expected_kl(p, stats.laplace(scale=scale)))
            yield from within(F8.claims[1], value, laplace_scale=mpf(scale))


def _flat_limits() -> Iterator[Relation]:
    size, c = 4000, 1.2
    p, law = np.full(size, 1 / size), stats.uniform(-c, 2 * c)
    for exact, limit in (
        (expected_kl(p, law), F8.claims[0].estimate),
        (-np.log1p(-expected_cosdist(p, law)), F8.claims[2].estimate),
    ):
        assert limit is not None
        value = float(limit(half_width=c))
        yield mpf(abs(exact - value)), "<=", mpf(10 * np.exp(2 * c) / size)


_PARTS: tuple[Literal["upper", "estimate"], ...] = ("upper", "estimate")


def _uniform_moment(s: int) -> Any:
    """E e^(s delta), delta uniform on [-c, c]."""
    return sp.integrate(sp.exp(s * _x), (_x, -half_width, half_width)) / (2 * half_width)


F8: Theorem = Theorem(
    id="F8",
    name="noise-beyond-gauss",
    title="Other noise: the limit law is the cumulant generating function",
    statement="For noise with Lambda(s) = log E e^(s delta), E KL(p||q) <= Lambda(1) - E delta for every p, "
    "with equality in the limit of flat p; -log cos -> Lambda(2)/2 - Lambda(1), and E cos >= e^(Lambda(1) - "
    "Lambda(2)/2)/sqrt(1 + |r|^2 (e^(Lambda(3) - Lambda(1) - Lambda(2)) - 1)). Uniform on [-c,c]: Lambda(s) "
    "= log(sinh(sc)/(sc)), so KL -> log(sinh c/c), to be compared with the worst case KL_max(2c), larger by "
    "c coth c - 1. Laplace: Lambda(s) = -log(1 - b^2 s^2), infinite from b s = 1 on, so outliers dominate "
    "the cosine for b >= 1/2. If |delta_i| <= c then R <= 2c.",
    status=Status.VALID,
    hypotheses=("entries of delta independent, identically distributed, mean 0", "b < 1 for Laplace noise"),
    claims=(
        Claim(mean_kl, None, Bound(log_sinhc(half_width), "upper"), Estimate(log_sinhc(half_width))),
        Claim(
            mean_kl,
            None,
            Bound(-sp.log(1 - laplace_scale**2), "upper"),
            Estimate(-sp.log(1 - laplace_scale**2)),
        ),
        about(mean_log_cos, log_sinhc(2 * half_width) / 2 - log_sinhc(half_width)),
        at_most(oscillation, 2 * half_width),
        at_most(mean_cosdist, 1 - _cosine_floor),
    ),
    derivation=(
        argument(
            "Jensen: E log sum p e^delta <= log E e^delta; the law of large numbers makes it an equality."
        ),
        *(
            concludes(f"Lambda(1) of {law}: {part}", lambda n=number: F8.claims[n], part, derived)  # type: ignore[misc]
            for number, law, derived in (
                (0, "uniform noise", sp.log(_uniform_moment(1))),
                (1, "Laplace noise", sp.log(1 / (2 * (1 - laplace_scale)) + 1 / (2 * (1 + laplace_scale)))),
            )
            for part in _PARTS
        ),
        concludes(
            "Lambda(2)/2 - Lambda(1) of uniform noise",
            lambda: F8.claims[2],
            "estimate",
            sp.log(_uniform_moment(2)) / 2 - sp.log(_uniform_moment(1)),
        ),
        concludes("c - (-c)", lambda: F8.claims[3], "upper", half_width - (-half_width)),
        concludes(
            "1 - E cos with both steps of Jensen",
            lambda: F8.claims[4],
            "upper",
            1
            - _uniform_moment(1)
            / sp.sqrt(_uniform_moment(2))
            / sp.sqrt(1 + gini_r * (_uniform_moment(3) / (_uniform_moment(1) * _uniform_moment(2)) - 1)),
        ),
        symbolic("The moment generating functions of uniform and Laplace noise", _growth_functions),
        argument(
            "E cos = e^(Lambda(1)) sum_i r_i E_i (sum_j r_j e^(2 delta_j))^(-1/2), where E_i weights "
            "delta_i by e^(delta_i - Lambda(1)); Jensen twice for the convex x^(-1/2) and (1 + a x)^(-1/2), "
            "as in F5."
        ),
        related("Both bounds against F3: uniform and Laplace noise, three distributions", _jensen),
        related("Flat p, V = 4000, uniform noise: both limits within O(1/V)", _flat_limits),
        identity(
            "The worst case at the same R = 2c is larger by c coth c - 1",
            kl_max(2 * half_width) - log_sinhc(half_width),
            coth_excess(half_width),
        ),
    ),
    limit=expansion("log(sinh c/c) = c^2/6 - ...: tau^2/2 with tau^2 = c^2/3", log_sinhc(_x), _x, _x**2 / 6),
    source="new",
)

F8x = Theorem(
    id="F8x",
    name="noise-variance-is-enough",
    title="Folklore: only the variance of the noise matters",
    statement="Noise of equal variance gives equal mean drift. To second order only: on flat p, Gaussian "
    "noise gives tau^2/2, two-point noise log cosh tau, Laplace noise -log(1 - tau^2/2).",
    status=Status.FALSE,
    counterexample=Counterexample(
        "tau = 1.2, V -> infinity: Gaussian tau^2/2 against two-point noise log cosh tau",
        lambda: (mpf("0.72"), mpmath.log(mpmath.cosh(mpf("1.2")))),
    ),
    limit=expansion("log cosh tau = tau^2/2 - tau^4/12", log_cosh(_x), _x, _x**2 / 2 - _x**4 / 12),
)

THEOREMS = (F8, F8x)
