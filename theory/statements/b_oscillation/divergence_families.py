"""Family B, continued: families of divergences: symmetric f-divergences, Rényi divergences."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most
from theory.formulas.formula import Formula
from theory.formulas.functions.elementary import js_max, log_sinhc
from theory.formulas.safe_forms import Expression
from theory.formulas.symbols import js, kl, kl_reverse, oscillation, parameter
from theory.instances.instance import Instance, moderate
from theory.instances.two_atom_laws import swap, two_atoms
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, positive, symbolic
from theory.statements.a_identities.divergences import renyi_divergence
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
x, y = sp.symbols("x y", positive=True)

# --------------------------------------------------------------------------------------------------- B3

_phi = sp.Function("phi")


def _balance_identity() -> bool:
    """d/d alpha of [y phi(x) + x phi(y)]/(x + y) along alpha + beta = const is (star)/(x + y)."""
    value = (y * _phi(x) + x * _phi(y)) / (x + y)
    along = sp.diff(value, x) * (1 - x**2) - sp.diff(value, y) * (1 - y**2)
    star = (
        (1 - x**2) * y * sp.diff(_phi(x), x)
        - (1 - y**2) * x * sp.diff(_phi(y), y)
        + (_phi(y) - _phi(x)) * (1 - x * y)
    )
    return sp.simplify(along - star / (x + y)) == 0


def _slope(phi: Expression) -> Expression:
    """-d/dx [(1 - x^2) phi'(x)/x]: non-negative is sufficient for (star)."""
    return -sp.diff((1 - x**2) * sp.diff(phi, x) / x, x)


_JS = ((1 + x) * sp.log(1 + x) + (1 - x) * sp.log(1 - x)) / 2

B3 = Theorem(
    id="B3",
    name="symmetric-divergences-oscillation",
    title="Symmetric f-divergences by the oscillation",
    statement="Let t_i = (q_i - p_i)/(q_i + p_i) and D(p,q) = E_M phi(t), M = (p+q)/2, phi even, convex "
    "and (1 - x^2) phi'(x)/x "
    "non-increasing. Then D(p,q) <= phi(tanh(R/4)), attained by the swap pair: Jensen-Shannon, Jeffreys, "
    "Hellinger, total "
    "variation and Vincze-Le Cam.",
    status=Status.SHARP,
    claims=(
        at_most(js, js_max(R), increasing=("oscillation",)),
        at_most(kl + kl_reverse, R * sp.tanh(R / 4), increasing=("oscillation",)),
    ),
    derivation=(
        argument(
            "E_M t = 0 and t lies in [-tanh alpha, tanh beta] with alpha + beta = R/2, alpha = rho_-/2."
        ),
        argument("Convexity: D <= [y phi(x) + x phi(y)]/(x + y) with x = tanh alpha, y = tanh beta."),
        symbolic(
            "Moving alpha up at fixed alpha + beta changes this by (star)/(x+y), (star) = (1-x^2) y "
            "phi'(x) - "
            "(1-y^2) x phi'(y) + (phi(y) - phi(x))(1 - xy); so x = y is the maximum when (star) >= 0 for "
            "x <= y",
            _balance_identity,
        ),
        identity("Total variation, phi = t: the slope of -(1-x^2) phi'/x is", _slope(x), (1 + x**2) / x**2),
        identity(
            "Hellinger, phi = 1 - sqrt(1 - t^2): the slope is",
            _slope(1 - sp.sqrt(1 - x**2)),
            x / sp.sqrt(1 - x**2),
        ),
        identity("Le Cam, phi = t^2: the slope is", _slope(x**2), 4 * x),
        positive("Jensen-Shannon: the slope is positive", _slope(_JS), {x: ("0.1", "0.999")}),
        symbolic(
            "and near 0: (1 - x^2) phi'(x)/x = 1 - sum of [1/(2k-1) - 1/(2k+1)] x^(2k), decreasing term "
            "by term",
            lambda: (
                sp.expand(
                    sp.series((1 - x**2) * sp.diff(_JS, x) / x, x, 0, 8).removeO()
                    - (
                        1
                        - sum(
                            (sp.Rational(1, 2 * k - 1) - sp.Rational(1, 2 * k + 1)) * x ** (2 * k)
                            for k in (1, 2, 3)
                        )
                    )
                )
                == 0
            ),
        ),
        identity(
            "Jeffreys, phi = 4 t artanh t: (1 - x^2) phi'/x is 4 times Jensen-Shannon's plus a constant",
            (1 - x**2) * sp.diff(2 * x * sp.log((1 + x) / (1 - x)), x) / x,
            4 * (1 - x**2) * sp.diff(_JS, x) / x + 4,
        ),
        identity(
            "JS_max is phi(tanh(R/4)), the entropy deficit of (sigma(R/2), sigma(-R/2))",
            sp.diff(_JS.subs(x, sp.tanh(R / 4)) - js_max(R), R),
            sp.Integer(0),
        ),
    ),
    witnesses=(Witness("the swap pair", swap), Witness("the swap pair", swap, claim=1)),
    limit=expansion("JS <= R^2/32 to leading order", js_max(R), R, R**2 / 32),
    source="new",
)

# --------------------------------------------------------------------------------------------------- B4

alpha = parameter("alpha", r"\alpha", "order of a Rényi divergence, not 1")
renyi = parameter("renyi", r"D_\alpha", "Rényi divergence of order alpha, in either direction, in nats")


def _renyi_bound(order: Expression, span: Expression) -> Expression:
    half = span / 2
    inner = log_sinhc(half) - order * log_sinhc(order * half) - (1 - order) * log_sinhc((1 - order) * half)
    return inner / (1 - order)


_ORDERS = ("0.1", "0.5", "0.9", "1.5", "2", "3", "7")


def _renyi_relations(instance: Instance) -> list[Relation]:
    relations: list[Relation] = []
    for order in map(mpf, _ORDERS):
        bound = at(_renyi_bound(alpha, R), alpha=order, oscillation=instance.column("oscillation"))
        relations.append((renyi_divergence(instance.p, instance.q, order), "<=", bound))
        relations.append((renyi_divergence(instance.q, instance.p, order), "<=", bound))
    return relations


def at(expression: Expression, **values: Any) -> Any:
    """Value of an expression at mpmath's current precision, its symbols given by name."""
    return Formula(expression).exact(**values)


def _renyi_witness(order: str) -> Any:
    def values(span: Any) -> dict[str, Any]:
        a = mpf(order)
        s = 1 - a
        up = (s / mpmath.expm1(s * span) - 1 / mpmath.expm1(span)) / (1 - s)
        instance = Instance(*two_atoms(mpmath.log(up / (1 - up)), span))
        return {"alpha": a, "oscillation": span, "renyi": renyi_divergence(instance.p, instance.q, a)}

    return values


_k, _t, _s = sp.symbols("k t s", positive=True)
_gain = sp.log(1 + _t * (_k - 1)) - sp.log(1 + _t * (_k**_s - 1)) / _s
_best = (_s / (_k**_s - 1) - 1 / (_k - 1)) / (1 - _s)

B4 = Theorem(
    id="B4",
    name="renyi-oscillation",
    title="Every Rényi divergence by the oscillation",
    statement="For every order alpha other than 1 and both directions, D_alpha <= [S(R/2) - alpha S(alpha "
    "R/2) - (1-alpha) "
    "S((1-alpha) R/2)]/(1-alpha), S(x) = log(sinh x/x). Order 1/2 is the Bhattacharyya bound B7, order 1 "
    "the limit B5, order 2 "
    "is chi-squared B6, and the order infinity gives R. It is at most alpha R^2/8.",
    status=Status.SHARP,
    claims=(at_most(renyi, _renyi_bound(alpha, R), increasing=("oscillation",)),),
    derivation=(
        argument(
            "With X = e^delta in [1, k], k = e^R and s = 1 - alpha: D = log E X - (1/s) log E X^s; at "
            "fixed E X the chord of x^s "
            "(concave for 0 < s < 1, convex for s < 0) makes the law on {1, k} extremal."
        ),
        identity(
            "log(1 + t(k-1)) - (1/s) log(1 + t(k^s - 1)) is stationary at t* = [s/(k^s - 1) - 1/(k - "
            "1)]/(1 - s)",
            sp.Subs(sp.Derivative(_gain, _t), _t, _best),
            sp.Integer(0),
        ),
        sampled("both directions at orders 0.1 .. 7", _renyi_relations, instances=moderate),
        identity(
            "Order 1/2 is twice log cosh(R/4)",
            _renyi_bound(sp.Rational(1, 2), 4 * x),
            2 * sp.log(sp.cosh(x)),
        ),
        identity("Order 2 is 2 log cosh(R/2)", _renyi_bound(sp.Integer(2), 2 * x), 2 * sp.log(sp.cosh(x))),
        symbolic(
            "Order -> 1 is S(x) + x S'(x), which is B5, x = R/2",
            lambda: (
                sp.simplify(
                    (sp.diff(sp.log(sp.sinh(x) / x), x) * x - (x * sp.cosh(x) / sp.sinh(x) - 1)).rewrite(
                        sp.exp
                    )
                )
                == 0
            ),
        ),
    ),
    witnesses=tuple(
        Witness(
            f"two atoms with p(upper) = t*, order {order}",
            values=_renyi_witness(order),
            parameters=("1e-6", "0.1", "1", "3", "10"),
        )
        for order in ("0.5", "2", "3")
    ),
    limit=expansion("alpha R^2/8", sp.expand(_renyi_bound(sp.Rational(1, 3), R)), R, R**2 / 24),
    source="new; interpolates Hellinger, KL and chi-squared",
)


THEOREMS = (B3, B4)
