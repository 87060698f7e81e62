"""Family D, repairs: what least squares in the metric of the drift could gain over plain least squares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most
from theory.formulas.symbols import parameter
from theory.proofs.enumerated import on_rows
from theory.proofs.relations import related
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.theorems.theorem import Status, Theorem, Witness

plain_cost = parameter(
    "plain_cost",
    r"\mathcal{C}_{\mathrm{plain}}",
    "cost, in the metric of the drift, of the repair that plain least squares gives",
)
best_cost = parameter(
    "best_cost", r"\mathcal{C}_{\min}", "smallest cost, in the metric of the drift, of any linear repair"
)
condition = parameter(
    "condition", r"\kappa", "largest over smallest eigenvalue of the metric, over all tokens and directions"
)

Row = Mapping[str, Any]
_CASES = 24


def _fit(x: Any, y: Any, weights: list[Any]) -> Any:
    """Residuals of the weighted least-squares fit of y (n) on x (n, k)."""
    w = mpmath.diag(weights)
    return y - x * mpmath.lu_solve(x.T * w * x, x.T * w * y)


def _cost(residuals: Any, weights: list[Any]) -> Any:
    return mpmath.fsum(w * r**2 for w, r in zip(weights, residuals, strict=True))


def _drawn(rng: np.random.Generator, rows: int, columns: int) -> Any:
    return mpmath.matrix([[mpf(float(u)) for u in row] for row in rng.normal(size=(rows, columns))])


def _regressions() -> Iterator[Row]:
    rng = np.random.default_rng(91)
    for case in range(_CASES):
        x, y = _drawn(rng, 6, 1 + case % 3), _drawn(rng, 6, 1)
        spread = rng.uniform(0, 3)
        weights = [mpf(float(10**u)) for u in rng.uniform(-spread, spread, size=6)]
        yield {
            "plain_cost": _cost(_fit(x, y, [mpf(1)] * 6), weights),
            "best_cost": _cost(_fit(x, y, weights), weights),
            "condition": max(weights) / min(weights),
        }


def _one_metric() -> Iterator[Relation]:
    """The plain fit of two outputs solves the normal equations of any metric that all tokens share."""
    rng = np.random.default_rng(92)
    for _ in range(_CASES):
        x, y, root = _drawn(rng, 6, 2), _drawn(rng, 6, 2), _drawn(rng, 2, 2)
        metric = root.T * root
        left = x.T * (y - x * mpmath.inverse(x.T * x) * x.T * y) * metric
        size = mpmath.norm(x.T * y * metric)
        yield mpmath.norm(left), "<=", size * mpf(10) ** -60


def _two_tokens(x: Any) -> Row:
    """One constant for two tokens of different metric: plain takes the middle, best is drawn to the heavy."""
    heavy = 1 + x
    return {"plain_cost": (1 + heavy) / 4, "best_cost": heavy / (1 + heavy), "condition": heavy}


_worse = at_most(plain_cost, best_cost * (1 + condition) ** 2 / (4 * condition), increasing=("best_cost",))
_a, _b, _w = sp.symbols("a b w", positive=True)

D6 = Theorem(
    id="D6",
    name="repair-metric",
    title="Least squares in the metric of the drift against plain least squares",
    statement="A part is dropped and a linear map of its input, fitted on tokens t, stands in for it. To "
    "second order the KL of a token is e' F_t e / 2 (D3), e the error of what the part adds and F_t the "
    "Fisher metric of the logits, pulled back. If F_t = F for all tokens, plain least squares is best "
    "whatever F is: the normal equations X' E F = 0 and X' E = 0 have one solution. If F_t differs, "
    "with all eigenvalues within a factor kappa, the plain fit costs at most (1 + kappa)^2/(4 kappa) "
    "times the best; no smaller factor does.",
    status=Status.SHARP,
    claims=(_worse,),
    hypotheses=("F_t positive definite", "the inputs of the fit are linearly independent"),
    derivation=(
        related("one metric for all tokens: the plain fit solves its normal equations", _one_metric),
        argument(
            "The plain residual r is orthogonal to the fitted space, so every other residual v has "
            "v'r = r'r. Cauchy-Schwarz in the metric W of all tokens: (r'r)^2 <= (v'Wv)(r'W^-1 r)."
        ),
        identity(
            "Kantorovich, per eigenvalue w in [a, b]: w + ab/w = a + b - (w - a)(b - w)/w, at most a + b",
            _w + _a * _b / _w,
            _a + _b - (_w - _a) * (_b - _w) / _w,
        ),
        argument(
            "So r'Wr + ab r'W^-1 r <= (a + b) r'r; by the means (r'Wr)(r'W^-1 r) <= (a + b)^2/(4ab) (r'r)^2."
        ),
        on_rows("weighted and plain fits of six tokens on one, two or three inputs", (_worse,), _regressions),
    ),
    witnesses=(Witness("one constant for two tokens", values=_two_tokens, claim=0),),
    source="D3; Kantorovich's inequality; Watson's bound on the efficiency of least squares",
)

THEOREMS = (D6,)
