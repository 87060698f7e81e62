"""What statements say, as formulas: estimate, bound and certified bound are three things."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from torch import Tensor

from theory.formulas.formula import Formula
from theory.formulas.safe_forms import Expression
from theory.formulas.symbols import COLUMNS

Side = Literal["lower", "upper"]


@dataclass(frozen=True)
class Estimate(Formula):
    """An approximation of a quantity; it is on neither side.

    Its relative error is of the stated order in the size of the change.
    """

    order: int = 1


@dataclass(frozen=True)
class Bound(Formula):
    """A proved bound, for exact statistics; its float64 value carries rounding errors.

    ``increasing`` and ``decreasing`` name the statistics in which the formula is monotone: a certificate
    then needs only the outward end point of their enclosures.  ``when`` is the hypothesis on the
    statistics, if there is one; where it fails the bound says nothing.
    """

    side: Side
    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    when: Expression | None = None

    @property
    def trivial(self) -> float:
        """The value that says nothing."""
        return np.inf if self.side == "upper" else -np.inf

    @cached_property
    def statistics(self) -> tuple[str, ...]:
        """Symbols of the formula and of its hypothesis."""
        condition = set() if self.when is None else {str(s.name) for s in self.when.free_symbols}
        return tuple(sorted(condition | set(self.symbols)))

    def __call__(self, **values: Any) -> Any:
        result = super().__call__(**values)
        # 0 times infinity, where a statistic has underflowed and a factor overflowed: nothing is known
        lost = np.isnan(result) & ~np.isnan(sum(np.asarray(values[name]) for name in self.symbols))
        result = np.where(lost, self.trivial, result)
        if self.when is None:
            return result
        return np.where(Formula(self.when)(**values) != 0, result, self.trivial)


@dataclass(frozen=True)
class CertifiedBound:
    """Float64 numbers, shapes ``(...)``, with lower <= exact value <= upper in spite of every rounding
    error.
    """

    lower: Tensor
    upper: Tensor


@dataclass(frozen=True)
class Claim:
    """What a theorem says about one quantity: an expression in the columns of ``Drift``, usually one
    column.
    """

    quantity: Expression
    lower: Bound | None = None
    upper: Bound | None = None
    estimate: Estimate | None = None

    @cached_property
    def name(self) -> str:
        """The column's name, or the expression as text."""
        return str(self.quantity)

    @cached_property
    def measured(self) -> Formula:
        """The quantity as a formula."""
        return Formula(self.quantity)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The bounds it has."""
        return tuple(bound for bound in (self.lower, self.upper) if bound is not None)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every symbol needed to check the claim."""
        names = set(self.measured.symbols)
        for bound in self.bounds:
            names |= set(bound.statistics)
        if self.estimate is not None:
            names |= set(self.estimate.symbols)
        return tuple(sorted(names))

    @property
    def measurable(self) -> bool:
        """Whether a ``Drift`` has every symbol of the claim."""
        return set(self.columns) <= COLUMNS

    @property
    def exact(self) -> bool:
        """Whether the claim is an equality."""
        return (
            self.lower is not None
            and self.upper is not None
            and self.lower.expression == self.upper.expression
        )


def at_most(quantity: Expression, expression: Expression, **monotone: Any) -> Claim:
    """``quantity <= expression``; ``increasing=``, ``decreasing=``, ``when=`` as in ``Bound``."""
    return Claim(quantity, upper=Bound(expression, "upper", **monotone))


def at_least(quantity: Expression, expression: Expression, **monotone: Any) -> Claim:
    """``quantity >= expression``."""
    return Claim(quantity, lower=Bound(expression, "lower", **monotone))


def between(lower: Claim, upper: Claim, estimate: Expression | None = None, order: int = 1) -> Claim:
    """Both sides of one quantity, and the estimate that they enclose, with the order of its error."""
    guess = None if estimate is None else Estimate(estimate, order)
    return Claim(lower.quantity, lower.lower, upper.upper, guess)


def equal(quantity: Expression, expression: Expression) -> Claim:
    """``quantity = expression``."""
    return Claim(quantity, Bound(expression, "lower"), Bound(expression, "upper"))


def about(quantity: Expression, expression: Expression) -> Claim:
    """``expression`` approximates ``quantity``: an estimate and no bound."""
    return Claim(quantity, estimate=Estimate(expression))
