"""Family F: what the length of the change alone says, whatever its direction."""

from __future__ import annotations

import sympy as sp

from theory.formulas.claims import at_most
from theory.formulas.functions.elementary import js_max, kl_max, sech_deficit
from theory.formulas.symbols import (
    cosdist_p,
    hellinger_sq,
    js,
    kl,
    kl_reverse,
    oscillation,
    tv,
    var_u,
    vocabulary,
)
from theory.instances.two_atom_laws import reversed_pair, swap, worst_for_kl
from theory.proofs.step import argument
from theory.proofs.symbolic import expansion, identity
from theory.theorems.theorem import Status, Theorem, Witness

_length = sp.sqrt(2 * vocabulary * var_u)
"""L: the l2 norm of delta less its mean, times sqrt(2)."""
_a, _b, _R = sp.symbols("a b R", positive=True)
_monotone = ("var_u", "vocabulary")

F9 = Theorem(
    id="F9",
    name="drift-by-length",
    title="Saturating bounds by the length of the change",
    statement="R <= L = sqrt(2 V Var_u), the l2 norm of delta less its mean times sqrt(2). So every bound "
    "of family B that increases in R holds with L: KL <= KL_max(L), TV <= tanh(L/4), 1 - cos <= 1 - "
    "sech(L/2), H^2 <= 1 - sech(L/4), JS <= JS_max(L). They imply F6's bounds by the same length and "
    "saturate where those grow on; for two tokens L = R, and all are attained at every R.",
    status=Status.SHARP,
    claims=(
        at_most(oscillation, _length, increasing=_monotone),
        at_most(kl, kl_max(_length), increasing=_monotone),
        at_most(kl_reverse, kl_max(_length), increasing=_monotone),
        at_most(tv, sp.tanh(_length / 4), increasing=_monotone),
        at_most(cosdist_p, sech_deficit(_length / 2), increasing=_monotone),
        at_most(hellinger_sq, sech_deficit(_length / 4), increasing=_monotone),
        at_most(js, js_max(_length), increasing=_monotone),
    ),
    derivation=(
        argument("With c the plain mean of delta and a = max delta - c, b = c - min delta: R = a + b."),
        identity(
            "(a + b)^2 = 2 (a^2 + b^2) - (a - b)^2", (_a + _b) ** 2, 2 * (_a**2 + _b**2) - (_a - _b) ** 2
        ),
        argument(
            "a^2 + b^2 <= sum (delta_i - c)^2 = V Var_u, so R^2 <= 2 V Var_u. B1, B3, B5, B7 increase in R."
        ),
        identity(
            "Two tokens: Var_u = R^2/4, so L = R",
            _length.subs({var_u: _R**2 / 4, vocabulary: 2}),
            _R,
        ),
    ),
    witnesses=(
        Witness("two tokens", swap),
        Witness("the two atoms of B5", worst_for_kl, claim=1),
        Witness("the same pair exchanged", reversed_pair(worst_for_kl), claim=2),
        *(Witness("the swap pair", swap, claim=number) for number in (3, 4, 5, 6)),
    ),
    limit=expansion("KL_max(L) = L^2/8 - ...: V Var_u/4, F6", kl_max(_R), _R, _R**2 / 8),
    source="new; Cauchy-Schwarz and family B",
)

THEOREMS = (F9,)
