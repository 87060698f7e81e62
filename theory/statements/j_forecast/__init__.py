"""What may be said before the pruned model writes a word: J1, J2, J2x, J3, J4, J4x, J5, J6, J7."""

from __future__ import annotations

from theory.statements.j_forecast import core, draft, forecast, joint_range, privacy, worst_case
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *core.THEOREMS,
    *draft.THEOREMS,
    *forecast.THEOREMS,
    *joint_range.THEOREMS,
    *privacy.THEOREMS,
    *worst_case.THEOREMS,
)
