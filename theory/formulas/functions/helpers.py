"""The JavaScript functions that generated formulas call: every safe form, and erf."""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory.formulas.functions.registry import stable_functions
from theory.formulas.javascript import code
from theory.formulas.safe_forms import Stable

_ERF = """\
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  let term = 2 * size / Math.sqrt(Math.PI) * Math.exp(-size * size), total = term;
  for (let k = 1; term > 1e-17 * total; k += 1) { term *= 2 * size * size / (2 * k + 1); total += term; }
  return Math.sign(x) * total;
}"""


@cache
def helpers() -> str:
    """Definitions of the safe forms, and of erf by its positive series."""
    return "\n".join([_ERF, *(_helper(function) for function in stable_functions())])


def _helper(function: type[Stable]) -> str:
    arguments = sp.symbols(f"x:{int(next(iter(function.nargs)))}", real=True)
    return (
        f"function {function.__name__}({', '.join(map(str, arguments))}) {{\n"
        f"  return {code(function.safe(*arguments))};\n}}"
    )
