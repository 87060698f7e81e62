"""One sympy expression, evaluated everywhere: NumPy, torch, mpmath, intervals, LaTeX, JavaScript.

Code is generated once per expression and cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import mpmath
import numpy as np
import scipy.special
import sympy as sp

from theory.arrays import Array
from theory.formulas.interval_arithmetic import INTERVAL_FUNCTIONS, MpInterval
from theory.formulas.javascript import code
from theory.formulas.safe_forms import Expression, Stable, careful, elementary
from theory.formulas.symbols import latex_names


@dataclass(frozen=True)
class Formula:
    """An expression in named symbols; the base of ``Estimate`` and ``Bound``."""

    expression: Expression

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols, sorted: the keyword arguments of every evaluation."""
        return tuple(sorted(symbol.name for symbol in self.expression.free_symbols))

    def __call__(self, **values: Any) -> Array:
        """Float64 value by the safe forms; arguments broadcast."""
        with np.errstate(all="ignore"):
            result = numpy_function(self.expression)(*self._arguments(values, np.asarray))
        return np.asarray(result, dtype=np.float64)

    def exact(self, **values: Any) -> Any:
        """Value from the definitions, at mpmath's current precision."""
        return mpmath_function(self.expression)(*self._arguments(values, mpmath.mpf))

    def enclosure(self, **values: MpInterval) -> MpInterval:
        """Interval that contains the value for every point of the given ``mpmath.iv`` intervals."""
        return interval_function(self.expression)(*self._arguments(values, lambda value: value))

    def latex(self) -> str:
        """The expression in the report's notation."""
        return str(sp.latex(self.expression, symbol_names=latex_names(self.expression.free_symbols)))

    def javascript(self) -> str:
        """An arrow function of the symbols in alphabetical order; needs
        ``theory.formulas.functions.helpers.helpers()``."""
        return f"({', '.join(self.symbols)}) => {code(self.expression)}"

    def _arguments(self, values: Mapping[str, Any], convert: Callable[[Any], Any]) -> list[Any]:
        missing = [name for name in self.symbols if name not in values]
        if missing:
            raise ValueError(f"values must contain {', '.join(self.symbols)}; missing: {', '.join(missing)}")
        return [convert(values[name]) for name in self.symbols]


def _ordered(expression: Expression) -> list[sp.Symbol]:
    return sorted(expression.free_symbols, key=lambda symbol: str(symbol.name))


@cache
def numpy_function(expression: Expression) -> Callable[..., Any]:
    """``expression`` of its symbols in alphabetical order, by the safe forms."""
    modules = [_numpy_stable(_stable_classes(expression)), {"erf": scipy.special.erf}, "numpy"]
    return sp.lambdify(_ordered(expression), careful(expression), modules=modules, cse=True)


@cache
def mpmath_function(expression: Expression) -> Callable[..., Any]:
    """``expression`` of its symbols in alphabetical order, from the definitions, in mpmath."""
    return sp.lambdify(_ordered(expression), elementary(expression), modules="mpmath", cse=True)


@cache
def interval_function(expression: Expression) -> Callable[..., Any]:
    """``expression`` of its symbols in alphabetical order, from the definitions, in ``mpmath.iv``."""
    return interval_code(tuple(_ordered(expression)), elementary(expression))


def interval_code(symbols: tuple[sp.Symbol, ...], expression: Expression) -> Callable[..., Any]:
    """An elementary expression as a function of ``mpmath.iv`` intervals."""
    body = expression.rewrite([sp.sinh, sp.cosh, sp.tanh], sp.exp)
    body = body.rewrite([sp.asinh, sp.acosh, sp.atanh], sp.log).replace(_irrational, _by_logarithm)
    return sp.lambdify(symbols, body, modules=[INTERVAL_FUNCTIONS, "mpmath"], cse=True)


def _irrational(expression: Expression) -> bool:
    return bool(expression.is_Pow and not expression.exp.is_Integer and abs(expression.exp) != sp.S.Half)


def _by_logarithm(power: Expression) -> Expression:
    return sp.exp(power.exp * sp.log(power.base))


@cache
def _stable_numpy(function: Any) -> Callable[..., Any]:
    arguments = sp.symbols(f"x:{_arity(function)}", real=True)
    body = function.safe(*arguments)
    modules = [_numpy_stable(_stable_classes(body)), {"erf": scipy.special.erf}, "numpy"]
    return sp.lambdify(arguments, body, modules=modules, cse=True)


def _arity(function: type[Stable]) -> int:
    return int(next(iter(function.nargs)))


def _stable_classes(expression: Expression) -> frozenset[type[Stable]]:
    return frozenset(type(atom) for atom in expression.atoms(Stable))


def _numpy_stable(functions: Iterable[type[Stable]]) -> dict[str, Callable[..., Any]]:
    return {function.__name__: _stable_numpy(function) for function in functions}  # type: ignore[arg-type]
