"""JavaScript from the same expressions."""

from __future__ import annotations

import sympy as sp

from theory.formulas.safe_forms import Expression, Stable, careful

_NATIVE = {"expm1": "Math.expm1", "log1p": "Math.log1p", "erf": "erf"}


def code(expression: Expression) -> str:
    """``expression`` as one JavaScript expression in its symbols' names.

    It may call the functions of :func:`theory.formulas.functions.helpers.helpers`.
    """
    names = {type(call).__name__: type(call).__name__ for call in sp.sympify(expression).atoms(Stable)}
    return str(sp.jscode(careful(expression), user_functions={**_NATIVE, **names}))
