"""Family D, sets: the cost of several perturbations at once from each one alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.functions.factors import coth_weight, csch_weight
from theory.formulas.symbols import kl, oscillation, parameter
from theory.instances.instance import Instance, mean, moderate, variance
from theory.proofs.enumerated import on_rows
from theory.proofs.relations import related
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
gram_sum = parameter(
    "gram_sum", r"\sum_{i,j\in S}G_{ij}", "sum of Cov_p(delta_i, delta_j) over the perturbations of a set"
)
gram_trace = parameter("gram_trace", r"\sum_{i\in S}G_{ii}", "sum of Var_p(delta_i) over a set")
parts = parameter("parts", "|S|", "number of perturbations in the set")
deviation_gap = parameter(
    "deviation_gap",
    r"|\mathrm{sd}_p(\delta_S)-(\textstyle\sum G_{ij})^{1/2}|",
    "standard deviation of the set's true change against the one that the Gram matrix predicts",
)
interaction_deviation = parameter(
    "interaction_deviation",
    r"\mathrm{sd}_p(e)",
    "standard deviation under p of the interaction: the set's true change minus the sum of the single ones",
)

Row = Mapping[str, Any]


def covariance(p: list[Any], first: list[Any], second: list[Any]) -> Any:
    """Cov_p of two changes of the logits."""
    one, two = mean(p, first), mean(p, second)
    return mean(p, [(a - one) * (b - two) for a, b in zip(first, second, strict=True)])


def _split(x: Instance, rng: np.random.Generator) -> list[list[Any]]:
    """Three changes that sum to delta, of any sign and size."""
    weights = [[mpf(float(u)) for u in rng.normal(size=len(x.delta))] for _ in range(2)]
    first, second = ([w * d for w, d in zip(ws, x.delta, strict=True)] for ws in weights)
    return [first, second, [d - a - b for d, a, b in zip(x.delta, first, second, strict=True)]]


def _sets() -> Iterator[Row]:
    rng = np.random.default_rng(81)
    for x in moderate():
        changes = _split(x, rng)
        gram = [[covariance(x.p, a, b) for b in changes] for a in changes]
        yield {
            "kl": x.column("kl"),
            "oscillation": x.column("oscillation"),
            "gram_sum": mpmath.fsum(map(mpmath.fsum, gram)),
            "gram_trace": mpmath.fsum(gram[i][i] for i in range(3)),
            "parts": mpf(3),
        }


def _interactions() -> Iterator[Row]:
    rng = np.random.default_rng(82)
    for x in moderate():
        scale = mpf(float(10 ** rng.uniform(-3, 1)))
        extra = [scale * mpf(float(u)) for u in rng.normal(size=len(x.delta))]
        true = [d + e for d, e in zip(x.delta, extra, strict=True)]
        predicted, found = (mpmath.sqrt(variance(x.p, values)) for values in (x.delta, true))
        yield {
            "deviation_gap": abs(found - predicted),
            "interaction_deviation": mpmath.sqrt(variance(x.p, extra)),
        }


def _bilinear() -> Iterator[Relation]:
    rng = np.random.default_rng(83)
    for x in moderate():
        changes = _split(x, rng)
        total = mpmath.fsum(covariance(x.p, a, b) for a in changes for b in changes)
        scale = mpmath.fsum(covariance(x.p, a, a) for a in changes)
        yield abs(total - x.column("var_p")), "<=", scale * mpf(10) ** -100


def _equal_changes(x: Any) -> Row:
    """Four equal changes: the whole set moves four times as far, its variance is sixteen single ones."""
    single = Instance([0, 0, mpf(1)], [x, 0, x / 2]).column("var_p")
    return {"gram_sum": 16 * single, "gram_trace": 4 * single, "parts": mpf(4)}


def _parallel(x: Any) -> Row:
    """The interaction is half of the predicted change."""
    p = [mpf("0.3"), mpf("0.7")]
    deviations = [mpmath.sqrt(variance(p, [size * x, mpf(0)])) for size in (mpf(1), mpf("1.5"), mpf("0.5"))]
    return {"deviation_gap": deviations[1] - deviations[0], "interaction_deviation": deviations[2]}


_lower = coth_weight(R) + sp.exp(-R) * csch_weight(R)
_upper = sp.exp(R**2 / 16) * (2 + sp.exp(R)) / 6
_cost = between(
    at_least(kl, gram_sum * _lower, increasing=("gram_sum",), decreasing=("oscillation",)),
    at_most(kl, gram_sum * _upper, increasing=("gram_sum", "oscillation")),
    estimate=gram_sum / 2,
)
_alone = at_most(gram_sum, parts * gram_trace, increasing=("parts", "gram_trace"))
_interaction = at_most(deviation_gap, interaction_deviation, increasing=("interaction_deviation",))
_a, _b, _e, _f, _w = sp.symbols("a b e f w", real=True)

D5 = Theorem(
    id="D5",
    name="gram-identity",
    title="The cost of a set from the Gram matrix of its members",
    statement="Let delta_i be the change of the logits (over T) by part i alone, G_ij = Cov_p(delta_i, "
    "delta_j), and let changes add: delta_S = sum of delta_i. Then Var_p(delta_S) = sum over S of G_ij, and "
    "KL(S) is half of it up to the factors of D3 with Var_q between e^-R and e^R times Var_p, R the "
    "oscillation of delta_S: relative error O(R). Summing single costs G_ii/2 instead is off by the pairs: "
    "the set costs between nothing and |S| times that. If changes do not add, delta_S = sum delta_i + e, "
    "the standard deviation is off by at most sd_p(e). Means over tokens obey the same with the largest R.",
    status=Status.SHARP,
    claims=(_cost, _alone, _interaction),
    hypotheses=(
        "p, q have full support (finite logits)",
        "claims 1 and 2: the changes of a set add, as they do to first order in the weights",
    ),
    derivation=(
        identity(
            "Bilinearity, one token's share of Cov_p for a set of two, centred changes a and b",
            _w * (_a + _b) ** 2,
            _w * (_a * _a + _a * _b + _b * _a + _b * _b),
        ),
        related("the Gram sum is the variance of the sum: three changes of every instance", _bilinear),
        argument("D3 with D1: e^-R <= Var_q/Var_p <= e^R, because rho_- and rho_+ are at most R."),
        on_rows(
            "KL and the sum of single costs, for three changes of every instance", (_cost, _alone), _sets
        ),
        identity(
            "Cauchy-Schwarz for a set of two, per token: 2 (a^2 + b^2) - (a + b)^2 is a square",
            2 * (_a**2 + _b**2) - (_a + _b) ** 2,
            (_a - _b) ** 2,
        ),
        identity(
            "with an interaction: the variance changes by 2 Cov + Var(e), per token",
            (_f + _e) ** 2 - _f**2,
            2 * _f * _e + _e**2,
        ),
        argument("The standard deviation under p is a norm on changes up to constants: triangle inequality."),
        on_rows("changes with an interaction on every instance", (_interaction,), _interactions),
    ),
    witnesses=(
        Witness("four equal changes", values=_equal_changes, claim=1),
        Witness("an interaction parallel to the predicted change", values=_parallel, claim=2),
    ),
    limit=expansion("the upper factor is 1/2 + R/6", _upper, R, sp.Rational(1, 2) + R / 6),
    source="D1, D3; second-order saliency (LeCun et al. 1990) in the metric of the logits",
)

THEOREMS = (D5,)
