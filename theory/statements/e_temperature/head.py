"""Family E: from the hidden state through the final norm and the head to the probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most
from theory.formulas.functions.elementary import sech_deficit
from theory.formulas.symbols import cosdist_p, oscillation, parameter, temperature
from theory.instances.instance import Instance, Number, mean, variance
from theory.instances.random_vectors import angle, dot, random_vector
from theory.proofs.relations import related, within
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.theorems.theorem import Status, Theorem, Witness

T = temperature
width = parameter("width", "d", "dimension of the hidden state")
head_diameter = parameter(
    "head_diameter",
    r"\mathrm{diam}_\gamma",
    "largest distance of two rows of the head, each multiplied by the gain of the norm",
)
cosdist_hidden = parameter(
    "cosdist_hidden",
    r"(1-\cos(\tilde h,\tilde h'))",
    "cosine distance of the hidden states before the norm, each extended by sqrt(d eps)",
)
hidden_change = parameter("hidden_change", r"\|\Delta h\|", "length of the change of the head's input")
row_diameter = parameter("row_diameter", r"\mathrm{diam}(W)", "largest distance of two rows of the head")

_t, _eps = sp.symbols("t epsilon", positive=True)


def _rms_norm_is_a_direction() -> bool:
    """RMSNorm(h) = sqrt(d) (first d coordinates of (h, sqrt(d eps))/its length), d = 3, symbolic h."""
    h = sp.symbols("h1:4", real=True)
    squares = sum(x**2 for x in h)
    normed = [x / sp.sqrt(squares / 3 + _eps) for x in h]
    direction = [sp.sqrt(3) * x / sp.sqrt(squares + 3 * _eps) for x in h]
    return all(sp.simplify(a**2 - b**2) == 0 for a, b in zip(normed, direction, strict=True))


def _centring_removes_the_bias() -> bool:
    """LayerNorm is RMSNorm of h - mean(h): Var h = |h - mean|^2/d, d = 3."""
    h = sp.symbols("h1:4", real=True)
    middle = sum(h) / 3
    return bool(sp.expand(sum(x**2 for x in h) / 3 - middle**2 - sum((x - middle) ** 2 for x in h) / 3) == 0)


def _covariance_is_gauge_free() -> bool:
    """dh^T Cov_p(W) dh = Var_p(W dh), unchanged by W -> W - 1 c^T; 3 rows, 2 columns, symbolic."""
    p1, p2 = sp.symbols("p1 p2", positive=True)
    p = [p1, p2, 1 - p1 - p2]
    W, h = sp.Matrix(3, 2, sp.symbols("w1:7", real=True)), sp.Matrix(sp.symbols("h1:3", real=True))
    c = sp.Matrix(1, 2, sp.symbols("c1:3", real=True))

    def spread(rows: sp.Matrix) -> Any:
        values = rows * h
        middle = sum(m * v for m, v in zip(p, values, strict=True))
        return sp.expand(sum(m * v**2 for m, v in zip(p, values, strict=True)) - middle**2)

    rows = [W.row(k) for k in range(3)]
    centre = sum((m * row for m, row in zip(p, rows, strict=True)), sp.zeros(1, 2))
    terms = (m * (row - centre).T * (row - centre) for m, row in zip(p, rows, strict=True))
    covariance = sum(terms, sp.zeros(2, 2))
    quadratic = sp.expand((h.T * covariance * h)[0])
    shifted = spread(W - sp.ones(3, 1) * c)
    return bool(sp.expand(quadratic - spread(W)) == 0 and sp.expand(shifted - spread(W)) == 0)


def _gaussian_majorant() -> str:
    """cosh x <= e^(x^2/2): coefficient by coefficient, (2k)! >= 2^k k!, by induction on k."""
    k = sp.Symbol("k", integer=True, nonnegative=True)
    growth = sp.expand((2 * k + 2) * (2 * k + 1) - 2 * (k + 1))  # ratio of the left minus ratio of the right
    if sp.factor(growth) != 4 * k * (k + 1):
        raise StepFailedError(f"growth of (2k)! against 2^k k! is {growth}")
    return "(2k+2)(2k+1) - 2(k+1) = 4k(k+1) >= 0, with equality of the terms at k = 0"


def _random_heads() -> Iterator[Relation]:
    rng = np.random.default_rng(56)
    for _ in range(40):
        d, rows = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        eps, scale = mpf(10) ** float(rng.uniform(-8, 0)), mpf(float(rng.uniform(0.3, 2)))
        gain, h = random_vector(rng, d), random_vector(rng, d)
        step = random_vector(rng, d, float(10 ** rng.uniform(-3, 0.3)))
        after = [x + s for x, s in zip(h, step, strict=True)]
        head = [random_vector(rng, d, 0.4) for _ in range(rows)]
        scaled = [[g * w for g, w in zip(gain, row, strict=True)] for row in head]
        z, z_after = (_logits(scaled, state, eps, scale) for state in (h, after))
        pair = Instance(z, [a - b for a, b in zip(z_after, z, strict=True)])
        extended = [[*state, mpmath.sqrt(d * eps)] for state in (h, after)]
        symbols = {
            "width": mpf(d),
            "head_diameter": _diameter(scaled),
            "temperature": scale,
            "cosdist_hidden": 2 * mpmath.sin(angle(*extended) / 2) ** 2,
        }
        yield from within(E6.claims[0], pair.column("oscillation"), **symbols)
        yield from within(E6.claims[1], pair.column("cosdist_p"), **symbols)
        moves = [dot(row, step) / scale for row in head]
        plain = {
            "hidden_change": mpmath.sqrt(dot(step, step)),
            "row_diameter": _diameter(head),
            "temperature": scale,
        }
        yield from within(E6.claims[2], max(moves) - min(moves), **plain)
        yield variance(pair.p, moves), "=", mean(pair.p, [m**2 for m in moves]) - mean(pair.p, moves) ** 2


def _logits(rows: list[list[Number]], h: list[Number], eps: Number, scale: Number) -> list[Number]:
    rms = mpmath.sqrt(dot(h, h) / len(h) + eps)
    return [dot(row, h) / rms / scale for row in rows]


def _diameter(rows: list[list[Number]]) -> Number:
    gaps = [[a - b for a, b in zip(x, y, strict=True)] for x in rows for y in rows]
    return mpmath.sqrt(max(dot(g, g) for g in gaps))


def _turning_hidden_state(x: Any) -> tuple[list[Any], list[Any]]:
    """d = 2, eps = 0: h turns from -x to +x about the first axis, the rows are (0, 1/2) and (0, -1/2)."""
    half = mpmath.sin(x) / mpmath.sqrt(2)
    return [-half, half], [2 * half, -2 * half]


def _turning_symbols(x: Any) -> dict[str, Any]:
    return {
        "width": mpf(2),
        "head_diameter": mpf(1),
        "temperature": mpf(1),
        "cosdist_hidden": 2 * mpmath.sin(x) ** 2,
        "hidden_change": 2 * mpmath.sqrt(2) * mpmath.sin(x),
        "row_diameter": mpf(1),
    }


_through_norm = sp.sqrt(width) * head_diameter / T * sp.sqrt(2 * cosdist_hidden)

E6 = Theorem(
    id="E6",
    name="hidden-to-probabilities",
    title="Certificate from the hidden state through norm and head",
    statement="Extend h by one coordinate sqrt(d eps). An RMS norm keeps only the direction of that vector, "
    "so R <= (sqrt(d)/T) diam_gamma sqrt(2(1 - cos(h~,h~'))) and 1 - cos(p,q) <= d diam_gamma^2/(4T^2) (1 - "
    "cos(h~,h~')). For a layer norm centre h first. Without a norm R <= |dh| diam(W)/T. For an option set "
    "only its rows count. Var_p(W dh) = dh^T Cov_p(W) dh, whatever common row is subtracted from W.",
    status=Status.SHARP,
    hypotheses=("logits are W (gain * RMSNorm(h))", "the last bound: logits are W h"),
    claims=(
        at_most(oscillation, _through_norm, increasing=("cosdist_hidden", "head_diameter", "width")),
        at_most(
            cosdist_p,
            width * head_diameter**2 / (4 * T**2) * cosdist_hidden,
            increasing=("cosdist_hidden", "head_diameter", "width"),
        ),
        at_most(oscillation, hidden_change * row_diameter / T, increasing=("hidden_change", "row_diameter")),
    ),
    derivation=(
        symbolic(
            "RMSNorm(h) = sqrt(d) times the direction of (h, sqrt(d eps)), d = 3", _rms_norm_is_a_direction
        ),
        symbolic("LayerNorm is RMSNorm of the centred h, d = 3", _centring_removes_the_bias),
        identity(
            "The chord of two unit vectors at angle t: |u - u'|^2 = 2(1 - cos t)",
            (1 - sp.cos(_t)) ** 2 + sp.sin(_t) ** 2,
            2 * (1 - sp.cos(_t)),
        ),
        argument("delta_i - delta_j = sqrt(d) gamma(w_i - w_j) . (u' - u)/T: Cauchy-Schwarz."),
        computed("cosh x <= e^(x^2/2), so 1 - sech x <= x^2/2", Method.SYMBOLIC, _gaussian_majorant),
        identity(
            "B7: 1 - cos(p,q) <= 1 - sech(R/2) <= R^2/8, with R from above",
            _through_norm**2 / 8,
            width * head_diameter**2 / (4 * T**2) * cosdist_hidden,
        ),
        symbolic(
            "Var_p(W dh) = dh^T Cov_p(W) dh and a common row drops out, 3 rows", _covariance_is_gauge_free
        ),
        related("40 random heads, norms and steps", _random_heads),
    ),
    witnesses=(
        Witness(
            "d = 2: h turns by 2x, two rows along the chord",
            _turning_hidden_state,
            values=_turning_symbols,
            parameters=("1e-6", "0.1", "0.7"),
        ),
        Witness(
            "the same as x -> 0",
            _turning_hidden_state,
            claim=1,
            values=_turning_symbols,
            parameters=("1e-9", "1e-6", "1e-4"),
        ),
        Witness(
            "the same without a norm",
            _turning_hidden_state,
            claim=2,
            values=_turning_symbols,
            parameters=("0.1",),
        ),
    ),
    limit=expansion(
        "1 - sech(R/2) = R^2/8 - ...: the quadratic law is B7 to second order",
        sech_deficit(oscillation / 2),
        oscillation,
        oscillation**2 / 8,
    ),
    source="new",
)

THEOREMS = (E6,)
