"""Family B: sharp bounds by the oscillation R = max delta - min delta alone."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from theory.formulas.claims import at_least, at_most
from theory.formulas.functions.elementary import coth_excess, gudermann, kl_max, log_sinhc, sech_deficit
from theory.formulas.symbols import cosdist_p, hellinger_sq, kl, kl_reverse, oscillation, parameter, tv
from theory.instances.two_atom_laws import reversed_pair, swap, worst_for_kl
from theory.proofs.sampled import sampled
from theory.proofs.step import argument
from theory.proofs.symbolic import expansion, identity
from theory.statements import shared_steps as common
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
_up = sp.Symbol("t", positive=True)
_odds = sp.Symbol("ell", real=True)
_two_atom_kl = sp.log(1 + _up * (sp.exp(R) - 1)) - _up * R
_best = 1 / R - 1 / (sp.exp(R) - 1)


def _logistic(x: sp.Expr) -> sp.Expr:
    return 1 / (1 + sp.exp(-x))


def _events(instance: common.Instance) -> list[tuple[object, str, object]]:
    """The odds of every event move by at most R."""
    relations = []
    size = len(instance.p)
    for mask in range(1, 2**size - 1):
        event = [k for k in range(size) if mask >> k & 1]
        rest = [k for k in range(size) if not mask >> k & 1]
        odds = [
            mpmath.log(mpmath.fsum(w[k] for k in event)) - mpmath.log(mpmath.fsum(w[k] for k in rest))
            for w in (instance.p, instance.q)
        ]
        relations.append((abs(odds[1] - odds[0]), "<=", instance.column("oscillation")))
    return relations


B1 = Theorem(
    id="B1",
    name="tv-oscillation",
    title="Odds band and total variation",
    statement="For every event A the log-odds move by at most R, |logit q(A) - logit p(A)| <= R. "
    "Hence total variation is at most tanh(R/4), for every vocabulary size.",
    status=Status.SHARP,
    claims=(at_most(tv, sp.tanh(R / 4), increasing=("oscillation",)),),
    derivation=(
        argument(
            "q(A)/q(A^c) = p(A) E[e^delta|A] / (p(A^c) E[e^delta|A^c]); the means' ratio lies in [e^-R, e^R]."
        ),
        sampled("|logit q(A) - logit p(A)| <= R for every event A", _events),
        identity(
            "With l = logit p(A), the gain sigma(l+R) - sigma(l) is stationary at l = -R/2",
            sp.Subs(sp.Derivative(_logistic(_odds + R) - _logistic(_odds), _odds), _odds, -R / 2),
            sp.Integer(0),
        ),
        identity(
            "Its derivative in l factors: negative beyond -R/2, positive before",
            sp.Derivative(_logistic(_odds + R) - _logistic(_odds), _odds),
            (sp.exp(R) - 1)
            * sp.exp(_odds)
            * (1 - sp.exp(2 * _odds + R))
            / ((1 + sp.exp(_odds)) ** 2 * (1 + sp.exp(_odds + R)) ** 2),
        ),
        identity("The value at l = -R/2", _logistic(R / 2) - _logistic(-R / 2), sp.tanh(R / 4)),
    ),
    witnesses=(Witness("the swap pair: p = (sigma(-R/2), sigma(R/2)), delta = (R, 0)", swap),),
    limit=expansion("TV <= R/4 to leading order", sp.tanh(R / 4), R, R / 4),
    source="Hilbert-metric contraction (Cohen and Fausti 2023); bounded-range privacy",
)

B5 = Theorem(
    id="B5",
    name="kl-oscillation",
    title="KL divergence by the oscillation: log of Specht's ratio",
    statement="Both KL divergences are at most KL_max(R) = log(sinh x/x) + x coth x - 1 with x = R/2, "
    "which is below Hoeffding's R^2/8 and grows like R - log R - 1.",
    status=Status.SHARP,
    claims=(
        at_most(kl, kl_max(R), increasing=("oscillation",)),
        at_most(kl_reverse, kl_max(R), increasing=("oscillation",)),
    ),
    derivation=(
        argument(
            "KL(p||q) = log E e^delta - E delta is convex in delta, so at given end points and mean the "
            "law on the two "
            "end points is extremal (chord bound on e^x)."
        ),
        identity(
            "Two atoms, mass t up: KL = log(1 + t(e^R - 1)) - tR is stationary in t at t* = 1/R - 1/(e^R "
            "- 1)",
            sp.Subs(sp.Derivative(_two_atom_kl, _up), _up, _best),
            sp.Integer(0),
        ),
        identity(
            "It is concave in t, so t* is the maximum",
            sp.Derivative(_two_atom_kl, _up, 2),
            -((sp.exp(R) - 1) ** 2) / (1 + _up * (sp.exp(R) - 1)) ** 2,
        ),
        identity(
            "The maximum is the log of Specht's ratio",
            sp.Subs(_two_atom_kl, _up, _best),
            kl_max(R),
        ),
        identity(
            "The form that does not cancel: S(R/2) + (R/2) coth(R/2) - 1",
            log_sinhc(R / 2) + coth_excess(R / 2),
            kl_max(R),
        ),
    ),
    witnesses=(
        Witness(
            "two atoms with p(upper) = 1/R - 1/(e^R - 1), delta = (R, 0)",
            worst_for_kl,
        ),
        Witness(
            "the same pair with p and q exchanged",
            reversed_pair(worst_for_kl),
            claim=1,
        ),
    ),
    limit=expansion(
        "R^2/8 is T3 with the largest variance R^2/4", kl_max(R), R, R**2 / 8 - R**4 / 576 + R**6 / 25920
    ),
    source="Hoeffding's lemma made exact; Specht 1960",
)

B7 = Theorem(
    id="B7",
    name="cosine-oscillation",
    title="Cosine and Bhattacharyya coefficient by the oscillation",
    statement="cos(p,q) >= sech(R/2), so 1 - cos <= tanh(R/2) tanh(R/4) <= R^2/8 and the angle is at most "
    "gd(R/2); "
    "BC(p,q) >= sech(R/4), so the squared Hellinger distance is at most 1 - sech(R/4).",
    status=Status.SHARP,
    claims=(
        at_most(cosdist_p, sech_deficit(R / 2), increasing=("oscillation",)),
        at_most(hellinger_sq, sech_deficit(R / 4), increasing=("oscillation",)),
        at_most(2 * sp.asin(sp.sqrt(cosdist_p / 2)), gudermann(R / 2), increasing=("oscillation",)),
    ),
    derivation=(
        argument(
            "Kantorovich: Y = e^delta in [y, ky], k = e^R, gives (Y - y)(ky - Y) >= 0, so E Y^2 <= (1+k) "
            "y E Y - k y^2."
        ),
        common.kantorovich,
        identity(
            "(1+k)^2/(4k) = cosh^2(R/2) at k = e^R",
            (1 + sp.exp(R)) ** 2 / (4 * sp.exp(R)),
            sp.cosh(R / 2) ** 2,
        ),
        common.cosine_as_moments,
        identity("1 - sech x = tanh x tanh(x/2)", 1 - 1 / sp.cosh(R), sp.tanh(R) * sp.tanh(R / 2)),
        identity("cos gd x = sech x", sp.cos(gudermann(R)).subs(R, R), 1 / sp.cosh(R)),
    ),
    witnesses=(
        Witness("the swap pair", swap),
        Witness("the swap pair", swap, claim=1),
        Witness("the swap pair", swap, claim=2, parameters=("1e-6", "0.1", "1", "3", "10")),
    ),
    limit=expansion(
        "R^2/8 is T2 with the largest variance R^2/4", sech_deficit(R / 2), R, R**2 / 8 - 5 * R**4 / 384
    ),
    source="Kantorovich-Cassels inequality",
)


def _norms(x: common.Instance) -> list[tuple[object, str, object]]:
    relations: list[tuple[object, str, object]] = []
    for order in map(mpmath.mpf, ("1", "1.5", "2", "4", "30")):
        change = mpmath.fsum(abs(a - b) ** order for a, b in zip(x.p, x.q, strict=True)) ** (1 / order)
        size = mpmath.fsum(abs(d) ** order for d in x.delta) ** (1 / order)
        bound = 2 ** (1 / order) * mpmath.tanh(x.column("oscillation") / 4)
        relations += [(change, "<=", bound), (bound, "<=", size / 2)]
    return relations


_order = parameter("order", "s", "order of a norm, at least 1")
_change = parameter("norm_change", r"\|p-q\|_s", "l_s norm of the change of probabilities")


def _swap_norm(span: Any) -> dict[str, Any]:
    x, order = common.Instance(*swap(span)), mpmath.mpf(3)
    change = mpmath.fsum(abs(a - b) ** order for a, b in zip(x.p, x.q, strict=True)) ** (1 / order)
    return {"order": order, "oscillation": span, "norm_change": change}


B2 = Theorem(
    id="B2",
    name="norm-oscillation",
    title="All l_s norms; softmax is 1/2-Lipschitz in each",
    statement="|p - q|_s <= 2^(1/s) tanh(R/4) <= |z' - z|_s/(2T) for every s >= 1: softmax is "
    "1/2-Lipschitz in every l_s norm, and "
    "the bound saturates.",
    status=Status.SHARP,
    claims=(at_most(_change, 2 ** (1 / _order) * sp.tanh(R / 4), increasing=("oscillation",)),),
    derivation=(
        argument(
            "|v|_s <= |v|_1^(1/s) |v|_inf^(1-1/s); |p-q|_1 = 2 TV and |p-q|_inf <= TV <= tanh(R/4) (B1)."
        ),
        argument("R <= |max delta| + |min delta| <= 2^(1-1/s) |delta|_s, and tanh x <= x."),
        sampled("both inequalities for s = 1, 1.5, 2, 4, 30", _norms),
    ),
    witnesses=(Witness("the swap pair attains the left one for every s (here s = 3)", values=_swap_norm),),
    source="sharpens Nair's Lipschitz theorem",
)

B10 = Theorem(
    id="B10",
    name="inverse-oscillation",
    title="What a measured drift says about the logits",
    statement="A measured drift certifies a least oscillation: R >= 4 artanh TV, R >= 2 arcosh(1/cos), R "
    ">= 4 arcosh(1/BC), "
    "R >= sqrt(8 KL).",
    status=Status.SHARP,
    claims=(
        at_least(R, 4 * sp.atanh(tv), increasing=("tv",)),
        at_least(R, 4 * sp.asinh(sp.sqrt(cosdist_p / (2 * (1 - cosdist_p)))), increasing=("cosdist_p",)),
        at_least(
            R, 8 * sp.asinh(sp.sqrt(hellinger_sq / (2 * (1 - hellinger_sq)))), increasing=("hellinger_sq",)
        ),
        at_least(R, sp.sqrt(8 * kl), increasing=("kl",)),
    ),
    derivation=(
        argument("Invert B1, B7 and Hoeffding's bound B5; each is increasing in R."),
        identity(
            "arcosh(1/c) = 2 arsinh sqrt((1-c)/(2c)) without cancellation: cosh y - 1 = 2 sinh^2(y/2)",
            sp.cosh(R) - 1,
            2 * sp.sinh(R / 2) ** 2,
        ),
    ),
    witnesses=tuple(
        Witness("the swap pair", swap, side="lower", claim=k, parameters=("1e-6", "0.1", "1", "10"))
        for k in range(3)
    ),
    source="inverse of B1, B5, B7",
)

THEOREMS = (B1, B2, B5, B7, B10)
