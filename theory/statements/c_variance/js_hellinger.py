"""Family C, continued: Jensen-Shannon between multiples of the squared Hellinger distance."""

from __future__ import annotations

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.functions.factors import js_of_hellinger, js_ratio
from theory.formulas.symbols import hellinger_sq, js, rho_minus, rho_plus
from theory.instances.instance import Instance, moderate
from theory.instances.two_atom_laws import swap
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.theorems.theorem import Status, Theorem, Witness

_t, _h = sp.symbols("t h", positive=True)
_larger = sp.Max(rho_plus, rho_minus)
_ratio = js_ratio(_larger)
_JS = ((1 + _t) * sp.log(1 + _t) + (1 - _t) * sp.log(1 - _t)) / 2
_H = 1 - sp.sqrt(1 - _t**2)


def _js_conjecture(x: Instance) -> list[Relation]:
    span, spread = x.column("oscillation"), x.column("var_p")
    with mpmath.workdps(400):
        root = mpmath.sqrt(max(mpf(0), 1 - 4 * spread / span**2))
        heavy, light = (1 + root) / 2, 2 * spread / span**2 / (1 + root)
        pair = Instance([mpmath.log(heavy), mpmath.log(light)], [span, mpf(0)])
        return [(pair.column("js"), "<=", x.column("js"))]


C8 = Theorem(
    id="C8",
    name="js-hellinger",
    title="Jensen-Shannon between multiples of squared Hellinger",
    statement="rho H^2 <= JS <= psi(H^2) <= H^2 with H^2 = 1 - BC and rho = phi_JS(tau)/phi_H(tau), tau = "
    "tanh(max(rho_+, rho_-)/2): rho tends to 1 for small drift and is never below log 2. psi = phi_JS o "
    "phi_H^-1 is the JS of the swap pair as a function of its H^2: the best bound by H^2 alone, for every "
    "value of H^2.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(
                js,
                _ratio * hellinger_sq,
                increasing=("hellinger_sq",),
                decreasing=("rho_minus", "rho_plus"),
            ),
            at_most(js, hellinger_sq, increasing=("hellinger_sq",)),
        ),
        at_least(js, sp.log(2) * hellinger_sq, increasing=("hellinger_sq",)),
        at_most(js, js_of_hellinger(hellinger_sq), increasing=("hellinger_sq",)),
    ),
    derivation=(
        identity(
            "phi_JS'/phi_H' = sqrt(1-t^2) artanh(t)/t",
            sp.Derivative(_JS, _t) / sp.Derivative(_H, _t),
            sp.sqrt(1 - _t**2) * sp.log((1 + _t) / (1 - _t)) / (2 * _t),
        ),
        argument("Its derivative has the sign of t - artanh t, which vanishes at 0."),
        identity(
            "and decreases: (artanh t - t)' = t^2/(1 - t^2)",
            sp.Derivative(sp.log((1 + _t) / (1 - _t)) / 2 - _t, _t),
            _t**2 / (1 - _t**2),
        ),
        argument(
            "So phi_JS/phi_H decreases (monotone l'Hospital), from 1 at 0 to log 2 at 1; apply it to "
            "every t_i (B3)."
        ),
        identity(
            "phi_H^-1(h) = sqrt(h(2 - h)), so psi is phi_JS there",
            js_of_hellinger(_h),
            _JS.subs(_t, sp.sqrt(_h * (2 - _h))),
        ),
        argument(
            "psi' = phi_JS'/phi_H' decreases, so psi is concave with psi' <= 1 and psi(0) = 0; JS = E_M "
            "psi(phi_H(|t_i|)) <= psi(E_M phi_H(|t_i|)) = psi(H^2) by Jensen, with equality where |t_i| is "
            "one number: the swap pair."
        ),
        sampled(
            "Conjecture, not proved and not used: JS is at least that of two atoms with mass t_+ above, "
            "same variance "
            "and range",
            _js_conjecture,
            instances=moderate,
        ),
    ),
    witnesses=(
        Witness("the swap pair: |t| takes one value only", swap, side="lower"),
        Witness("a small swap", swap, parameters=("1e-4", "1e-6")),
        Witness("the swap pair, far apart", swap, side="lower", claim=1, parameters=("100", "200")),
        Witness("the swap pair: every value of H^2", swap, claim=2),
    ),
    limit=expansion(
        "JS and H^2 agree to second order", _JS - _H, _t, 0 * _t**2 + _t**4 * sp.Rational(-1, 24)
    ),
    source="new",
)

THEOREMS = (C8,)
