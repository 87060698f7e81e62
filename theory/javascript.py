"""JavaScript from the same expressions: formulas for the explorer, and the helper functions they call."""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory.function_accuracy import stable_functions
from theory.safe_forms import Expression, Stable, careful

_NATIVE = {"expm1": "Math.expm1", "log1p": "Math.log1p"}

_ERF = """\
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  let term = 2 * size / Math.sqrt(Math.PI) * Math.exp(-size * size), total = term;
  for (let k = 1; term > 1e-17 * total; k += 1) { term *= 2 * size * size / (2 * k + 1); total += term; }
  return Math.sign(x) * total;
}"""


def code(expression: Expression) -> str:
    """``expression`` as one JavaScript expression in its symbols' names."""
    names = {function.__name__: function.__name__ for function in stable_functions()}
    return str(sp.jscode(careful(expression), user_functions={**_NATIVE, **names, "erf": "erf"}))


@cache
def helpers() -> str:
    """Definitions of the functions that generated formulas call: the safe forms, and erf by its positive
    series.
    """
    return "\n".join([_ERF, *(_helper(function) for function in stable_functions())])


def _helper(function: type[Stable]) -> str:
    arguments = sp.symbols(f"x:{int(next(iter(function.nargs)))}", real=True)
    return (
        f"function {function.__name__}({', '.join(map(str, arguments))}) {{\n"
        f"  return {code(function.safe(*arguments))};\n}}"
    )
