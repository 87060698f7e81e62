"""D3: KL and Jeffreys divergences from the variances under both models' weights."""

from __future__ import annotations

import sympy as sp

from theory.formulas.claims import Claim, at_least, at_most, between
from theory.formulas.functions.factors import coth_weight, csch_weight, tanh_ratio
from theory.formulas.symbols import kl, kl_reverse, oscillation, var_p, var_q
from theory.instances.instance import Instance
from theory.instances.two_atom_laws import reversed_pair
from theory.proofs.conclusion import concludes
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity
from theory.statements.d_weights.shared import fourth_moment, rare_upper
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
_s = sp.Symbol("s", positive=True)
_v0, _v1 = sp.symbols("v0 v1", positive=True)


def _exchanged(x: Instance) -> list[Relation]:
    """The pair (q, p) against (p, q)."""
    y = Instance([z + d for z, d in zip(x.z, x.delta, strict=True)], [-d for d in x.delta])
    names = {"kl": "kl_reverse", "var_p": "var_q", "var_q": "var_p", "oscillation": "oscillation"}
    return [(y.column(name), "=", x.column(other)) for name, other in names.items()]


def _of_kl(divergence: sp.Symbol, own: sp.Symbol, other: sp.Symbol) -> Claim:
    """The two sides for one direction; ``own``: the variance under the first of its two distributions."""
    return between(
        at_least(
            divergence,
            own * coth_weight(R) + other * csch_weight(R),
            increasing=("var_p", "var_q"),
            decreasing=("oscillation",),
        ),
        at_most(
            divergence,
            sp.exp(R**2 / 16) * (2 * own + other) / 6,
            increasing=("var_p", "var_q", "oscillation"),
        ),
        estimate=(2 * own + other) / 6,
        order=2,
    )


D3: Theorem = Theorem(
    id="D3",
    name="both-weights-kl",
    title="KL from both variances",
    statement="[Var_p (R coth R - 1) + Var_q (1 - R/sinh R)]/R^2 <= KL(p||q) <= e^(R^2/16) (2 Var_p + "
    "Var_q)/6. So (2 Var_p + Var_q)/6 estimates KL with error O(R^2). The same with p and q exchanged, and "
    "the Jeffreys divergence by (Var_p + Var_q)/2.",
    status=Status.SHARP,
    claims=(
        _of_kl(kl, var_p, var_q),
        between(
            at_least(
                kl + kl_reverse,
                tanh_ratio(R / 2) / 2 * (var_p + var_q),
                increasing=("var_p", "var_q"),
                decreasing=("oscillation",),
            ),
            at_most(
                kl + kl_reverse,
                sp.exp(R**2 / 16) * (var_p + var_q) / 2,
                increasing=("var_p", "var_q", "oscillation"),
            ),
            estimate=(var_p + var_q) / 2,
            order=2,
        ),
        _of_kl(kl_reverse, var_q, var_p),
    ),
    derivation=(
        sampled("v'' <= R^2 v and (log v)'' >= -R^2/2 (D2)", fourth_moment),
        argument("Lower: the maximum principle gives v(s) >= [v_0 sinh R(1-s) + v_1 sinh Rs]/sinh R."),
        identity(
            "int_0^1 (1-s) of that",
            sp.Integral(
                (1 - _s) * (_v0 * sp.sinh(R * (1 - _s)) + _v1 * sp.sinh(R * _s)) / sp.sinh(R), (_s, 0, 1)
            ),
            _v0 * coth_weight(R) + _v1 * csch_weight(R),
        ),
        argument("Upper: v(s) <= v_0^(1-s) v_1^s e^(R^2 s(1-s)/4) <= [(1-s) v_0 + s v_1] e^(R^2/16)."),
        identity(
            "int_0^1 (1-s) [(1-s) v_0 + s v_1] ds",
            sp.Integral((1 - _s) * ((1 - _s) * _v0 + _s * _v1), (_s, 0, 1)),
            (2 * _v0 + _v1) / 6,
        ),
        *(
            concludes(
                f"with e^(R^2 s(1-s)/4) at s = 1/2: {name}",
                lambda number=number: D3.claims[number],  # type: ignore[misc]
                "upper",
                sp.exp(R**2 * _s * (1 - _s) / 4).subs(_s, sp.Rational(1, 2)) * chord,
            )
            for number, name, chord in (
                (0, "KL(p||q)", sp.integrate((1 - _s) * ((1 - _s) * var_p + _s * var_q), (_s, 0, 1))),
                (1, "both", sp.integrate((1 - _s) * var_p + _s * var_q, (_s, 0, 1))),
                (2, "KL(q||p)", sp.integrate((1 - _s) * ((1 - _s) * var_q + _s * var_p), (_s, 0, 1))),
            )
        ),
        argument("Exchanging p and q turns delta into -delta: R stays, Var_p and Var_q change places."),
        sampled("It does: KL(p||q), Var_p, Var_q and R of the exchanged pair", _exchanged),
    ),
    witnesses=(
        Witness("two atoms, one mass -> 0", rare_upper, side="lower", parameters=("0.1", "1", "3", "10")),
        Witness(
            "two atoms, one mass -> 0", rare_upper, side="lower", claim=1, parameters=("0.1", "1", "3", "10")
        ),
        Witness(
            "the same pair exchanged",
            reversed_pair(rare_upper),
            side="lower",
            claim=2,
            parameters=("0.1", "1", "3", "10"),
        ),
    ),
    limit=expansion("the weights are 1/3 and 1/6", coth_weight(R) + csch_weight(R), R, sp.Rational(1, 2)),
    source="new (the upper constant is not claimed sharp)",
)

THEOREMS = (D3,)
