"""What the theorems about weights share: pairs of two atoms, and two inequalities of a law's moments."""

from __future__ import annotations

from typing import Any

import mpmath
from mpmath import mpf

from theory.instances.instance import Instance, mean
from theory.instances.two_atom_laws import Pair, two_atoms
from theory.proofs.step import Relation

TINY = mpf(10) ** -30


def rare_upper(R: Any) -> Pair:
    """p(upper) -> 0 with q(upper) -> 0 too."""
    return two_atoms(mpmath.log(TINY) - 2 * R, R)


def fourth_moment(x: Instance) -> list[Relation]:
    """mu_4 - 3 v^2 <= R^2 v and mu_4 v >= mu_3^2 + v^3, under p."""
    centre = mean(x.p, x.delta)
    v, m3, m4 = (mean(x.p, [(d - centre) ** k for d in x.delta]) for k in (2, 3, 4))
    return [(m4 - 3 * v**2, "<=", x.column("oscillation") ** 2 * v), (m3**2 + v**3, "<=", m4 * v)]
