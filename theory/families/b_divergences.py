"""Family B, continued: families of divergences (symmetric f-divergences, Rényi, chi-squared) and
refinements.
"""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.functions import coth_excess, js_max, log_sinhc
from theory.instances import Instance, moderate
from theory.safe_forms import Expression
from theory.steps import argument, expansion, identity, positive, sampled, symbolic
from theory.symbols import (
    chi2,
    chi2_reverse,
    js,
    kl,
    kl_reverse,
    oscillation,
    p_rest,
    parameter,
    rho_minus,
    rho_plus,
    tv,
)
from theory.theorem import Counterexample, Status, Theorem, Witness, at_most
from theory.two_atom_bounds import chord_down, chord_kl, chord_tv, chord_up
from theory.two_atom_laws import Pair, swap, two_atoms, upper_mass
from theory.two_atoms import two_atom_kl, two_atom_kl_reverse, two_atom_tv

R = oscillation
x, y = sp.symbols("x y", positive=True)
Relations = list[tuple[Any, str, Any]]

# --------------------------------------------------------------------------------------------------- B3

_phi = sp.Function("phi")
_a, _sum = sp.symbols("alpha Sigma", positive=True)


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


def renyi_divergence(p: list[Any], q: list[Any], order: Any) -> Any:
    """D_order(p||q) for order other than 1."""
    total = mpmath.fsum(a**order * b ** (1 - order) for a, b in zip(p, q, strict=True))
    return mpmath.log(total) / (order - 1)


_ORDERS = ("0.1", "0.5", "0.9", "1.5", "2", "3", "7")


def _renyi_relations(instance: Instance) -> Relations:
    relations: Relations = []
    for order in map(mpf, _ORDERS):
        bound = _at(_renyi_bound(alpha, R), alpha=order, oscillation=instance.column("oscillation"))
        relations.append((renyi_divergence(instance.p, instance.q, order), "<=", bound))
        relations.append((renyi_divergence(instance.q, instance.p, order), "<=", bound))
    return relations


def _at(expression: Expression, **values: Any) -> Any:
    from theory.formula import Formula

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

# --------------------------------------------------------------------------------------------------- B6


def _broken_symmetry(span: Any) -> Pair:
    """The pair that attains the symmetrised bound: cosh(alpha - beta) = max(1, cosh(R/2)/2)."""
    shift = mpmath.acosh(max(mpf(1), mpmath.cosh(span / 2) / 2))
    rho = span / 2 + shift  # rho_-; the upper mass of the chord law
    up = -mpmath.expm1(-rho) / (mpmath.exp(span - rho) - mpmath.exp(-rho))
    return two_atoms(mpmath.log(up / (1 - up)), span)


_c, _d = sp.symbols("c d", positive=True)

B6 = Theorem(
    id="B6",
    name="chi2-oscillation",
    title="Chi-squared divergences by the oscillation",
    statement="chi^2 in either direction is at most sinh^2(R/2). Their sum is at most 4(cosh(R/2) - 1) "
    "while cosh(R/2) <= 2 and "
    "cosh^2(R/2) beyond: there the extremal pair is no longer symmetric.",
    status=Status.SHARP,
    claims=(
        at_most(chi2, sp.sinh(R / 2) ** 2, increasing=("oscillation",)),
        at_most(chi2_reverse, sp.sinh(R / 2) ** 2, increasing=("oscillation",)),
        at_most(
            chi2 + chi2_reverse,
            8 * sp.sinh(R / 4) ** 2 + sp.Max(sp.cosh(R / 2) - 2, 0) ** 2,
            increasing=("oscillation",),
        ),
    ),
    derivation=(
        identity(
            "chi^2 = e^(D_2) - 1, and B4 at order 2 is 2 log cosh(R/2)",
            sp.exp(2 * sp.log(sp.cosh(R / 2))) - 1,
            sp.sinh(R / 2) ** 2,
        ),
        argument(
            "The sum is B3's form with phi = 8 t^2/(1 - t^2), for which (star) fails beyond tanh^2(R/4) = "
            "1/3."
        ),
        argument("Two atoms give 4 (C - d) d with C = cosh(alpha + beta), d = cosh(alpha - beta) in [1, C]."),
        identity(
            "4(C - d) d = C^2 - (C - 2d)^2: largest at d = max(1, C/2)",
            4 * (_c - _d) * _d,
            _c**2 - (_c - 2 * _d) ** 2,
        ),
        identity("Both branches in one formula, beyond the transition", 4 * (_c - 1) + (_c - 2) ** 2, _c**2),
    ),
    witnesses=(
        Witness("p = (sigma(-R), sigma(R)): q is uniform", upper_mass(lambda r: 1 / (1 + mpmath.exp(r)))),
        Witness("p uniform", lambda r: two_atoms(0, r), claim=1),
        Witness("symmetric up to R = 2.63, then cosh(alpha - beta) = cosh(R/2)/2", _broken_symmetry, claim=2),
    ),
    limit=expansion("R^2/4", sp.sinh(R / 2) ** 2, R, R**2 / 4),
    source="new (symmetrised form)",
)


def _swap_is_not_extremal() -> tuple[Any, Any]:
    """Symmetrised chi-squared of the asymmetric pair, and of the swap pair, at R = 6."""
    best, symmetric = Instance(*_broken_symmetry(mpf(6))), Instance(*swap(mpf(6)))
    left, right = (z.column("chi2") + z.column("chi2_reverse") for z in (best, symmetric))
    return left, right


B6x = Theorem(
    id="B6x",
    name="folklore-swap-extremal",
    title="False: every symmetric divergence is largest at the swap pair",
    statement="By symmetry one expects the swap pair to maximise every symmetric f-divergence at given "
    "oscillation. The "
    "symmetrised chi-squared divergence breaks the symmetry once cosh(R/2) > 2.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "R = 6: the asymmetric pair of B6 beats the swap pair", _swap_is_not_extremal
    ),
    source="corrects a natural guess; see B3 for the condition",
)

# --------------------------------------------------------------------------------------------------- B8, B9

_up, _down = chord_up(rho_minus, rho_plus), chord_down(rho_minus, rho_plus)
_span = rho_minus + rho_plus


def _chord_witness(span: Any) -> Pair:
    """Any two-atom law attains: here p(upper) = 0.3."""
    return two_atoms(mpmath.log(mpf(3) / 7), span)


B8 = Theorem(
    id="B8",
    name="two-sided-ratio",
    title="Bounds by the extreme log-ratios, for known p and q",
    statement="With m = e^(-rho_-) and M = e^(rho_+), every f-divergence is at most its value for the "
    "two-atom law whose ratio "
    "q/p takes the values m and M: TV <= (1-m)(M-1)/(M-m), chi^2(q||p) <= (1-m)(M-1), and both KL "
    "divergences.",
    status=Status.SHARP,
    claims=(
        at_most(tv, chord_tv(rho_minus, rho_plus), increasing=("rho_minus", "rho_plus")),
        at_most(kl, chord_kl(rho_minus, rho_plus), increasing=("rho_minus", "rho_plus")),
        at_most(kl_reverse, chord_kl(rho_plus, rho_minus), increasing=("rho_minus", "rho_plus")),
        at_most(
            chi2,
            (1 - sp.exp(-rho_minus)) * (sp.exp(rho_plus) - 1),
            increasing=("rho_minus", "rho_plus"),
        ),
    ),
    derivation=(
        argument(
            "E_p L = 1 for L = q/p in [m, M]; the chord of a convex f gives E f(L) <= [(M-1) f(m) + (1-m) "
            "f(M)]/(M-m)."
        ),
        identity("Its masses sum to one", _up + _down, sp.Integer(1)),
        identity("and give total variation", two_atom_tv(_up, _down, _span), chord_tv(rho_minus, rho_plus)),
        sampled(
            "and the two KL divergences",
            lambda z: [
                (
                    _at(two_atom_kl(_up, _down, _span), **z.columns(("rho_minus", "rho_plus"))),
                    "=",
                    _at(chord_kl(rho_minus, rho_plus), **z.columns(("rho_minus", "rho_plus"))),
                ),
                (
                    _at(two_atom_kl_reverse(_up, _down, _span), **z.columns(("rho_minus", "rho_plus"))),
                    "=",
                    _at(chord_kl(rho_plus, rho_minus), **z.columns(("rho_minus", "rho_plus"))),
                ),
            ],
        ),
    ),
    witnesses=tuple(Witness("any two-atom law", _chord_witness, claim=k) for k in range(4)),
    source="Rukhin, Simic, Binette",
)

_rest, _top = p_rest, 1 - p_rest
_heavy = sp.Rational(1, 2) - coth_excess(R / 2) / R


def _peaked(span: Any) -> Pair:
    """A confident step: p_max = 1 - eta with eta well below sigma(-R/2)."""
    return two_atoms(-span - 3, span)


def _peaked_down(span: Any) -> Pair:
    """The same mass, delta = R on the top token only."""
    return two_atoms(span + 3, span)


B9 = Theorem(
    id="B9",
    name="peaked-oscillation",
    title="Confident steps: bounds by the oscillation and the largest probability",
    statement="With p_max = 1 - eta: if eta <= sigma(-R/2) then TV <= sigma(logit eta + R) - eta; if eta "
    "<= 1/R - 1/(e^R - 1) then "
    "KL(p||q) is at most the larger of the two-atom values kappa(eta; R), kappa(1 - eta; R). At p_max = "
    "0.99 and R = 3 total "
    "variation is at most 0.159 instead of 0.635.",
    status=Status.SHARP,
    claims=(
        at_most(
            tv,
            two_atom_tv(_rest, _top, R),
            increasing=("oscillation", "p_rest"),
            when=sp.Le(_rest * (1 + sp.exp(R / 2)), 1),
        ),
        at_most(
            kl,
            sp.Max(two_atom_kl(_rest, _top, R), two_atom_kl(_top, _rest, R)),
            increasing=("oscillation", "p_rest"),
            when=sp.Le(_rest, _heavy),
        ),
    ),
    derivation=(
        argument("The probability of an event takes no value strictly between eta and 1 - eta."),
        identity(
            "sigma(l + R) - sigma(l) is symmetric about l = -R/2",
            1 / (1 + sp.exp(-(x + R / 2))) - 1 / (1 + sp.exp(-(x - R / 2))),
            1 / (1 + sp.exp(-(-x + R / 2))) - 1 / (1 + sp.exp(-(-x - R / 2))),
        ),
        argument(
            "It falls on both sides (B1), so with logit eta <= -R/2 the worst admissible event has p(A) = "
            "eta."
        ),
        argument(
            "KL(p||.) is convex in delta: its maximum over [0,R]^V is at delta in {0,R}^V, that is max_A "
            "kappa(p(A); R)."
        ),
        argument(
            "kappa is concave in t with its maximum at t* (B5): the worst admissible mass is eta or 1 - eta."
        ),
    ),
    witnesses=(
        Witness("delta = R on everything but the top token", _peaked, parameters=("0.1", "1", "3", "10")),
        Witness("the same", _peaked, claim=1, parameters=("0.1", "1", "3", "10")),
    ),
    source="new",
)

THEOREMS = (B3, B4, B6, B6x, B8, B9)
