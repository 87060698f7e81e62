"""Steps that sympy or interval arithmetic proves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp
from mpmath import iv

from theory.formulas.formula import interval_function
from theory.formulas.safe_forms import Expression, elementary
from theory.proofs.step import Method, Step, StepFailedError


def identity(text: str, left: Expression, right: Expression) -> Step:
    """``left = right``, proved by sympy; unevaluated derivatives, integrals and substitutions are carried
    out.
    """

    def check() -> str:
        difference = elementary(sp.sympify(left - right).doit()).doit()
        if not vanishes(difference):
            raise StepFailedError(f"sympy does not reduce to 0: {sp.simplify(difference)}")
        return "difference simplifies to 0"

    return Step(text, Method.SYMBOLIC, check, sp.Eq(left, right, evaluate=False))


def vanishes(difference: Expression) -> bool:
    """Whether sympy reduces ``difference`` to zero by one of its standard rewritings."""
    if sp.expand(difference) == 0:
        return True
    exponential = difference.rewrite([sp.sinh, sp.cosh, sp.tanh, sp.coth], sp.exp)
    attempts: tuple[Callable[[Any], Any], ...] = (
        lambda e: sp.cancel(sp.together(e)),
        lambda e: sp.simplify(sp.logcombine(e, force=True)),
        lambda e: sp.simplify(sp.expand_log(e, force=True)),
        lambda e: sp.simplify(sp.expand(e)),
        sp.simplify,
    )
    return any(attempt(form) == 0 for form in (exponential, difference) for attempt in attempts)


def expansion(text: str, expression: Expression, variable: sp.Symbol, expected: Expression) -> Step:
    """The Taylor polynomial of ``expression`` at 0 is ``expected``, to the order of ``expected``."""
    order = int(sp.Poly(expected, variable).degree()) + 1

    def check() -> str:
        series = sp.series(elementary(expression), variable, 0, order).removeO()
        if sp.simplify(sp.expand(series - expected)) != 0:
            raise StepFailedError(f"series is {series}, not {expected}")
        return f"series to order {order - 1}"

    equation = sp.Eq(expression, expected + sp.O(variable**order), evaluate=False)
    return Step(text, Method.SERIES, check, equation)


def symbolic(text: str, check: Callable[[], bool], equation: Expression | None = None) -> Step:
    """A symbolic computation that returns whether it came out."""

    def run() -> str:
        if not check():
            raise StepFailedError("symbolic check is false")
        return "symbolic check is true"

    return Step(text, Method.SYMBOLIC, run, equation)


def positive(
    text: str, expression: Expression, box: dict[sp.Symbol, tuple[str, str]], *, pieces: int = 20_000
) -> Step:
    """``expression > 0`` on a box, proved by bisection with interval arithmetic."""
    symbols = sorted(expression.free_symbols, key=lambda symbol: str(symbol.name))

    def check() -> str:
        function = interval_function(expression)
        pending = [[iv.mpf([box[symbol][0], box[symbol][1]]) for symbol in symbols]]
        examined = 0
        while pending:
            piece = pending.pop()
            examined += 1
            if examined > pieces:
                raise StepFailedError(f"not decided after {pieces} boxes; last {piece}")
            value = function(*piece)
            if value.a > 0:
                continue
            if value.b <= 0:
                raise StepFailedError(f"not positive on {piece}")
            widest = max(range(len(piece)), key=lambda k: float(mpmath.mpf(piece[k].delta.b)))
            left, right = list(piece), list(piece)
            left[widest] = iv.mpf([piece[widest].a, piece[widest].mid])
            right[widest] = iv.mpf([piece[widest].mid, piece[widest].b])
            pending += [left, right]
        return f"{examined} boxes"

    where = ", ".join(f"{symbol} in [{low}, {high}]" for symbol, (low, high) in box.items())
    return Step(f"{text} ({where})", Method.INTERVAL, check, sp.Gt(expression, 0, evaluate=False))
