"""Family E: the amplification A = (1 - cos(p,q))/(1 - cos(z,z')): exact, on average, its gauge."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import mpmath
import numpy as np
import sympy as sp
import torch
from mpmath import mpf

from theory.arrays import Array
from theory.effects.amplification import expected_amplification
from theory.formulas.claims import Side, at_least, at_most, between, equal
from theory.formulas.functions.elementary import growth
from theory.formulas.symbols import (
    gini_r,
    norm_sq,
    orthogonal_sq,
    oscillation,
    parallel,
    parameter,
    temperature,
    var_r,
    vocabulary,
)
from theory.instances.instance import Instance
from theory.instances.random_vectors import escort, random_vector
from theory.instances.two_atom_laws import VANISHING
from theory.proofs.conclusion import concludes
from theory.proofs.enumerated import near
from theory.proofs.relations import related, simulated, within
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

T, V = temperature, vocabulary
amplification = parameter("amplification", "A", "(1 - cos(p,q)) / (1 - cos(z,z'))")
mean_amplification = parameter(
    "mean_amplification",
    r"\mathbb{E}A_2",
    "mean over isotropic Gaussian D of the second-order amplification |z|^2 Var_r(D)/(T^2 |D_perp|^2)",
)
spread_z = parameter("spread_z", r"\mathrm{Var}_r(z)", "variance of the dense logits under r")
_x, _b, _eps = sp.symbols("x b epsilon", positive=True)
_s = sp.sqrt(_x**2 + _b**2)
_n = sp.Symbol("n", positive=True)


def _head_room(a: Any, b_sq: Any) -> Any:
    """s (s + x)/2 with x = 1 + a and s = sqrt(x^2 + b^2): 1 - cos(z,z') = b^2/(s (s + x))."""
    x = 1 + a
    s = sp.sqrt(x**2 + b_sq)
    return s * (s + x) / 2


_second_order = var_r / orthogonal_sq * _head_room(parallel, orthogonal_sq)


def amplification_of(instance: Instance) -> Any:
    return instance.column("cosdist_p") / instance.column("cosdist_z")


def _random_pairs() -> Iterator[Instance]:
    rng = np.random.default_rng(50)
    for size in (2, 3, 5, 9):
        for exponent in range(-6, 1):
            z = [x * 2 + 1 for x in random_vector(rng, size)]
            yield Instance(z, random_vector(rng, size, 10.0**exponent))


def _two_sided() -> Iterator[Relation]:
    for instance in _random_pairs():
        columns = instance.columns(("var_r", "orthogonal_sq", "parallel", "oscillation"))
        yield from within(E1.claims[0], amplification_of(instance), **columns)


def _rare(R: Any, sign: int) -> tuple[list[Any], list[Any]]:
    """Two atoms, logits shifted by 1; the mass of the upper one tends to 0 (sign -1) or 1 (sign +1)."""
    return [sign * (R - mpmath.log(VANISHING)) + 1, mpf(1)], [R, mpf(0)]


def _rare_values(R: Any, sign: int) -> dict[str, Any]:
    return {"amplification": amplification_of(Instance(*_rare(R, sign)))}


_RARE: tuple[tuple[str, Side, int], ...] = (("upper", "upper", -1), ("lower", "lower", 1))

_amplified = between(
    at_least(amplification, _second_order * growth(-oscillation) ** 2, increasing=("var_r",)),
    at_most(amplification, _second_order * growth(oscillation) ** 2, increasing=("var_r", "oscillation")),
    estimate=var_r / orthogonal_sq,
)


def _small_pairs() -> Iterator[dict[str, Any]]:
    for x in _random_pairs():
        if max(map(abs, x.delta)) < 1e-4:
            columns = x.columns(("var_r", "orthogonal_sq", "parallel", "oscillation"))
            yield {"amplification": amplification_of(x), **columns}


E1 = Theorem(
    id="E1",
    name="amplification-two-sided",
    title="Amplification, exactly two-sided",
    statement="A is the second-order value Var_r/b^2 times s(s+x)/2 times a factor between ((1 - e^-R)/R)^2 "
    "and ((e^R - 1)/R)^2. Here b^2 and a are the squared orthogonal and the parallel part of the change of "
    "the logits relative to |z|, x = 1 + a, s = sqrt(x^2 + b^2).",
    status=Status.SHARP,
    hypotheses=("z is not 0", "the change of the logits is not parallel to z"),
    claims=(_amplified,),
    derivation=(
        identity("A6: 1 - x/s = b^2/(s(s+x)) with s^2 = x^2 + b^2", 1 - _x / _s, _b**2 / (_s * (_s + _x))),
        argument("C5: 1 - cos(p,q) is Var_r/2 times a factor between ((1 - e^-R)/R)^2 and ((e^R - 1)/R)^2."),
        identity(
            "The quotient of the two",
            (var_r / 2) / (_b**2 / (_s * (_s + _x))),
            var_r / _b**2 * _s * (_s + _x) / 2,
        ),
        related("Both sides on random pairs, perturbations 1e-6 to 1", _two_sided),
        near("The estimate on random pairs, perturbations of 1e-6", (_amplified,), _small_pairs, 1e-3),
    ),
    witnesses=tuple(
        Witness(
            f"two atoms, logits shifted by 1, mass on the {atom} one -> 0",
            partial(_rare, sign=sign),
            side=side,
            values=partial(_rare_values, sign=sign),
        )
        for atom, side, sign in _RARE
    ),
    limit=expansion(
        "s(s+x)/2 = 1 + 2a + O(2): the first factor is the paper's second-order amplification",
        _head_room(_eps * parallel, _eps**2 * orthogonal_sq),
        _eps,
        1 + 2 * parallel * _eps,
    ),
    source="new; A6 and C5",
)


def _covariance(r: list[Any]) -> sp.Matrix:
    return sp.diag(*r) - sp.Matrix(r) * sp.Matrix(r).T


def _quadratic_form_is_variance() -> bool:
    r, z = sp.symbols("r1:4", positive=True), sp.Matrix(sp.symbols("z1:4", real=True))
    mean = sum(w * x for w, x in zip(r, z, strict=True))
    spread = sum(w * x**2 for w, x in zip(r, z, strict=True)) - mean**2
    return bool(sp.expand((z.T * _covariance(list(r)) * z)[0] - spread) == 0)


def _trace_and_constants() -> bool:
    first, second = sp.symbols("r1 r2", positive=True)
    r = [first, second, 1 - first - second]
    M = _covariance(r)
    trace = sp.expand(M.trace() - (1 - sum(w**2 for w in r)))
    return bool(trace == 0 and sp.expand(M * sp.ones(3, 1)) == sp.zeros(3, 1))


def _inverse_chi_square() -> bool:
    y = sp.Symbol("y", positive=True)
    density = y ** (_n / 2 - 1) * sp.exp(-y / 2) / (2 ** (_n / 2) * sp.gamma(_n / 2))
    integral = sp.integrate(density / y, (y, 0, sp.oo), conds="none")
    return bool(sp.gammasimp(sp.simplify(integral)) - 1 / (_n - 2) == 0)


def amplification_samples(centred: bool) -> Iterator[tuple[Array, float]]:
    rng = np.random.default_rng(51)
    for size in (8, 40):
        z, scale = rng.normal(size=size) * 2, 0.9
        r = escort(np.exp(z / scale - z.max() / scale))
        D = rng.normal(size=(60_000, size))
        if centred:
            z, D = z - z.mean(), D - D.mean(1, keepdims=True)
        across = (D * D).sum(1) - (D @ z) ** 2 / (z @ z)
        sample = (z @ z) * ((D * D) @ r - (D @ r) ** 2) / (scale**2 * across)
        yield sample, float(expected_amplification(torch.tensor(z), scale, centred=centred))


def mean_formula(norm: Any, dimension: Any) -> Any:
    """Mean of A_2 when the noise lives in ``dimension`` dimensions."""
    plain = norm * (1 - gini_r) / (dimension - 1)
    return (plain + 2 * spread_z / ((dimension - 1) * (dimension - 3))) / T**2


def added_up(norm: Any, dimension: Any) -> Any:
    """The part of D across z, and the part along it."""
    return ((norm * (1 - gini_r) - spread_z) / (dimension - 1) + spread_z / (dimension - 3)) / T**2


def large_vocabulary(mean: Any) -> bool:
    return bool(sp.simplify(sp.limit(mean, V, sp.oo) - _x * (1 - gini_r) / T**2) == 0)


MEAN_STEPS = (
    argument(
        "D = D_par z/|z| + D_perp with independent parts; M = diag(r) - r r^T; the direction of D_perp is "
        "uniform and independent of its length, so E D_perp^T M D_perp/|D_perp|^2 = (tr M - z^T M "
        "z/|z|^2)/(n - 1) and the mixed term vanishes by symmetry; n is the dimension of the noise."
    ),
    symbolic("|z|^2 z^T M z/|z|^2 = Var_r(z), V = 3 with symbolic masses", _quadratic_form_is_variance),
    symbolic("tr M = 1 - sum r^2 and M 1 = 0, V = 3 with symbolic masses", _trace_and_constants),
    symbolic("E 1/chi^2_n = 1/(n - 2) for n > 2, by integration", _inverse_chi_square),
    identity(
        "With E D_par^2 E |D_perp|^-2 = 1/(n - 3), the two parts add up",
        added_up(norm_sq, _n),
        mean_formula(norm_sq, _n),
    ),
)

E2: Theorem = Theorem(
    id="E2",
    name="amplification-mean",
    title="Mean amplification under isotropic noise, exactly",
    statement="For isotropic Gaussian D the mean of the second-order amplification is (1/T^2) [ |z|^2 (1 - "
    "|r|^2)/(V-1) + 2 Var_r(z)/((V-1)(V-3)) ], V > 3: about rms(z)^2 (1 - |r|^2)/T^2. Drift is amplified on "
    "average when rms(z) sqrt(1 - |r|^2) > T.",
    status=Status.EXACT,
    hypotheses=("D is isotropic Gaussian", "V > 3", "second order in D"),
    claims=(equal(mean_amplification, mean_formula(norm_sq, V)),),
    derivation=(
        *MEAN_STEPS,
        concludes("n = V", lambda: E2.claims[0], "upper", added_up(norm_sq, V)),
        simulated("60,000 draws at V = 8 and 40", lambda: amplification_samples(False)),
    ),
    limit=symbolic(
        "V -> infinity at fixed rms(z) and Var_r(z): rms(z)^2 (1 - |r|^2)/T^2",
        lambda: large_vocabulary(mean_formula(V * _x, V)),
    ),
    source="new",
)


def _mean_against_ratio() -> tuple[Any, Any]:
    z = torch.tensor([3.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    r = torch.softmax(2 * z, 0)
    ratio = float(z @ z * (1 - r @ r) / (len(z) - 1))
    return mpf(float(expected_amplification(z))), mpf(ratio)


E2x = Theorem(
    id="E2x",
    name="amplification-mean-is-a-ratio",
    title="Folklore: the mean amplification is the ratio of the means",
    statement="E[A] = |z|^2 E[Var_r(D)] / (T^2 E|D_perp|^2). Both expectations are right, their ratio is "
    "not E[A]: the part of D along z moves p, but is missing from |D_perp|.",
    status=Status.FALSE,
    hypotheses=("D is isotropic Gaussian",),
    counterexample=Counterexample("z = (3, 0, 0, 0, 0), T = 1: E[A] exceeds the ratio", _mean_against_ratio),
)

THEOREMS = (E1, E2, E2x)
