"""Family J, evidence: where the two-atom law stops being the worst for given variance and range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from mpmath import mpf
from sympy.codegen.cfunctions import expm1

from theory.arrays import Array
from theory.formulas.claims import at_most
from theory.formulas.functions.two_atoms import t_minus, t_plus, two_atom_kl_reverse, two_atom_log_bc
from theory.formulas.symbols import cosdist_p, hellinger_sq, kl_reverse, oscillation, var_p, var_r
from theory.proofs.step import Method, StepFailedError, argument, computed
from theory.proofs.symbolic import identity
from theory.theorems.theorem import Edge, Status, Theorem

R = oscillation
Variation = Callable[[Array, Array, float], Array]
_x, _A, _B, _m = sp.symbols("x A B m", positive=True)
_cosine = sp.exp(2 * _x) / (2 * _B) - sp.exp(_x) / _A
_reverse = sp.exp(_x) * (_x - _m - 1) / _A


def _cosine_variation(t: Array, x: Array, range_: float) -> Array:
    """Gamma(x) - Gamma(0) at the two-atom law of upper mass t, for -log cos."""
    first, second = 1 + t * np.expm1(range_), 1 + t * np.expm1(2 * range_)
    return np.asarray(np.expm1(2 * x) / (2 * second) - np.expm1(x) / first)


def _reverse_variation(t: Array, x: Array, range_: float) -> Array:
    """The same for KL(q||p)."""
    first = 1 + t * np.expm1(range_)
    tilted_mean = range_ * t * np.exp(range_) / first
    return np.asarray((np.exp(x) * (x - tilted_mean - 1) + tilted_mean + 1) / first)


def _excess(variation: Variation, range_: float) -> float:
    """Largest first-order gain, over two-atom laws and positions of a third atom, relative to x (R - x).

    A multiplier for the variance makes the gain vanish on both atoms; positive means that a third atom helps.
    """
    t = np.linspace(1e-4, 0.4999, 1200)[:, None]
    x = np.linspace(0, range_, 401)[None, 1:-1]
    mean = t * range_
    multiplier = variation(t, np.array([[range_]]), range_) / (range_**2 * (1 - 2 * t))
    gain = variation(t, x, range_) - multiplier * ((x - mean) ** 2 - mean**2)
    return float((gain / (x * (range_ - x))).max())


def _helped(variation: Variation, range_: str, factor: int = 1) -> tuple[dict[str, Any], Any, Any]:
    """The largest first-order gain of a third atom, which must not be positive where two atoms are worst."""
    return {"oscillation": factor * mpf(range_)}, mpf(_excess(variation, float(range_))), mpf(0)


def _thresholds() -> str:
    """First-order optimality of two atoms changes between the stated ranges."""
    for name, variation, below, above in (
        ("cosine", _cosine_variation, 4.510, 4.516),
        ("KL(q||p)", _reverse_variation, 6.070, 6.076),
    ):
        if not _excess(variation, below) < 0 < _excess(variation, above):
            raise StepFailedError(f"{name}: no change between {below} and {above}")
    return "cosine in (4.510, 4.516), hence BC in (9.020, 9.032); KL(q||p) in (6.070, 6.076)"


def _third_atom() -> str:
    """Random third atoms at equal variance below the threshold, and a better one above it."""
    rng, best = np.random.default_rng(36), {4.4: -np.inf, 6.0: -np.inf}

    def minus_log_cos(r: Array, x: Array) -> Array:
        return np.asarray(0.5 * np.log((r * np.exp(2 * x)).sum(-1)) - np.log((r * np.exp(x)).sum(-1)))

    for range_ in best:
        position = rng.uniform(0, 1, 400_000) * range_
        r = rng.dirichlet([0.5, 0.5, 0.5], size=len(position))
        x = np.stack([np.zeros_like(position), position, np.full_like(position, range_)], -1)
        variance = (r * (x - (r * x).sum(-1, keepdims=True)) ** 2).sum(-1)
        light = (1 - np.sqrt(1 - np.minimum(4 * variance / range_**2, 1))) / 2
        two = np.stack([1 - light, light], -1)
        best[range_] = float((minus_log_cos(r, x) - minus_log_cos(two, np.array([0, range_]))).max())
    if best[4.4] > 1e-9 or best[6.0] <= 0:
        raise StepFailedError(f"gain of a third atom: {best}")
    return f"largest gain of 400000 three-atom laws: {best[4.4]:.1e} at R = 4.4, {best[6.0]:.3f} at R = 6"


J3 = Theorem(
    id="J3",
    name="joint-range",
    title="Variance and range: when two atoms are the worst case",
    statement="Given variance and range, the least -log cos, -log BC and KL(q||p) are those of two atoms, "
    "mass t_+ up (C3). The largest are attained on {0, R} or on {0, c, R} (proved). That two atoms, mass "
    "t_- up, suffice is proved for R <= log 4, 2 log 4 and 2 (C6); numerically it holds up to R = 4.513, "
    "9.026 and 6.073 and fails beyond (C6x).",
    status=Status.NUMERICAL,
    claims=(
        at_most(
            cosdist_p,
            -expm1(-two_atom_log_bc(t_minus(var_r, R), t_plus(var_r, R), 2 * R)),
            when=sp.Le(R, sp.Rational(451, 100)),
        ),
        at_most(
            hellinger_sq,
            -expm1(-two_atom_log_bc(t_minus(var_p, R), t_plus(var_p, R), R)),
            when=sp.Le(R, sp.Rational(902, 100)),
        ),
        at_most(
            kl_reverse,
            two_atom_kl_reverse(t_minus(var_p, R), t_plus(var_p, R), R),
            when=sp.Le(R, sp.Rational(607, 100)),
        ),
    ),
    edges=(
        Edge("cosine: a third atom helps", lambda: _helped(_cosine_variation, "4.516")),
        Edge("BC: the same at twice the oscillation", lambda: _helped(_cosine_variation, "4.516", 2), (1,)),
        Edge("KL(q||p): a third atom helps", lambda: _helped(_reverse_variation, "6.076"), (2,)),
    ),
    derivation=(
        argument(
            "At a maximiser Gamma - l (x - mu)^2 - c <= 0 on every window of length R around the support, "
            "with equality on it, Gamma the first variation."
        ),
        identity(
            "cosine: Gamma''' = e^x (4 e^x/B - 1/A) changes sign once",
            sp.diff(_cosine, _x, 3),
            sp.exp(_x) * (4 * sp.exp(_x) / _B - 1 / _A),
        ),
        identity(
            "KL(q||p): Gamma''' = (e^x/A)(x + 2 - E_q X) changes sign once",
            sp.diff(_reverse, _x, 3),
            sp.exp(_x) * (_x + 2 - _m) / _A,
        ),
        argument(
            "Two double zeros would need Gamma''' to go from + to -, so at most one interior atom occurs; "
            "a span below R would make every atom a double zero. Hence {0, R} or {0, c, R}."
        ),
        computed("first-order optimality of two atoms on a grid of laws", Method.SIMULATED, _thresholds),
        computed("random third atoms", Method.SIMULATED, _third_atom),
    ),
    source="new; reduction proved, thresholds numerical",
)

THEOREMS = (J3,)
