"""The paper's three theorems: estimates, derived by Taylor expansion; neither is a bound."""

from __future__ import annotations

import sympy as sp

from theory.formulas.claims import about
from theory.formulas.symbols import cosdist_p, cosdist_z, kl, orthogonal_sq, parallel, var_p, var_r
from theory.instances.series import cumulant_series, cumulants, epsilon, finite_law, mean, taylor, variance
from theory.proofs.step import argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.theorems.theorem import Status, Theorem

PAPER = "He et al., Demystifying When Pruning Works via Representation Hierarchies (arXiv 2603.24652)"

_s = sp.Symbol("s", positive=True)  # scale of the change: a -> s a, b -> s b


def _kl_of_finite_law(size: int) -> bool:
    """KL(p||q) = epsilon^2 Var_p/2 + O(epsilon^3) for V = size symbolic masses and values."""
    p, x = finite_law(size)
    kl_series = taylor(sp.log(mean(p, [sp.exp(epsilon * value) for value in x])) - epsilon * mean(p, x), 2)
    return sp.simplify(kl_series - epsilon**2 * variance(p, x) / 2) == 0


def _cosine_of_finite_law(size: int) -> bool:
    """1 - cos(p,q) = epsilon^2 Var_r/2 + O(epsilon^3), from the definition of the cosine."""
    p, x = finite_law(size)
    q = [mass * sp.exp(epsilon * value) for mass, value in zip(p, x, strict=True)]
    norms = sum(mass**2 for mass in p) * sum(mass**2 for mass in q)
    cosine = sum(a * b for a, b in zip(p, q, strict=True)) / sp.sqrt(norms)
    weights = [mass**2 for mass in p]
    return sp.simplify(taylor(1 - cosine, 2) - epsilon**2 * variance(weights, x) / 2) == 0


_moments = cumulants(4)
_kl_series = cumulant_series(4)
_cosine_series = sp.expand(cumulant_series(4, scale=2) / 2 - cumulant_series(4))

T1 = Theorem(
    id="T1",
    name="paper-local-deviation",
    title="Theorem 1 of the paper: local deviation",
    statement="1 - cos(h, h + dh) is about half the squared orthogonal part of the change, relative to "
    "|h|^2. The same for "
    "logits. The relative error is -2a at first order in the parallel part a (A6).",
    status=Status.ASYMPTOTIC,
    hypotheses=("the change is small, and its parallel part too",),
    claims=(about(cosdist_z, orthogonal_sq / 2),),
    derivation=(
        identity(
            "Exact: 1 - cos = 1 - (1+a)/sqrt((1+a)^2 + b^2); its derivative in the scale s of the change "
            "vanishes at 0",
            sp.diff(
                1 - (1 + _s * parallel) / sp.sqrt((1 + _s * parallel) ** 2 + _s**2 * orthogonal_sq), _s
            ).subs(_s, 0),
            sp.Integer(0),
        ),
        expansion(
            "Second order: b^2/2; third order: -a b^2",
            1 - (1 + _s * parallel) / sp.sqrt((1 + _s * parallel) ** 2 + _s**2 * orthogonal_sq),
            _s,
            orthogonal_sq * _s**2 / 2 - parallel * orthogonal_sq * _s**3,
        ),
    ),
    source=f"{PAPER}, Theorem 1, eq. 6-7 and appendix D.1",
)

T2 = Theorem(
    id="T2",
    name="paper-cosine",
    title="Theorem 2 of the paper: cosine of the probabilities",
    statement="1 - cos(p,q) is about Var_r(delta)/2, r proportional to p^2. The relative error is of "
    "first order in the "
    "oscillation (C5); the weights p q of D2 remove it.",
    status=Status.ASYMPTOTIC,
    hypotheses=("the oscillation of delta is small",),
    claims=(about(cosdist_p, var_r / 2),),
    derivation=(
        symbolic(
            "Taylor expansion of the cosine for V = 2, symbolic masses and values",
            lambda: _cosine_of_finite_law(2),
        ),
        symbolic("The same for V = 3", lambda: _cosine_of_finite_law(3)),
        argument(
            "Any V (A3): -log cos = K_r(2)/2 - K_r(1), K_r the cumulant generating function of delta under r."
        ),
        identity(
            "Its expansion in formal moments of any law: kappa2/2 + kappa3/2 + 7 kappa4/24",
            _cosine_series,
            epsilon**2 * _moments[0] / 2 + epsilon**3 * _moments[1] / 2 + 7 * epsilon**4 * _moments[2] / 24,
        ),
        identity(
            "1 - cos = -log cos + O(4), so it is kappa2/2 + kappa3/2 + O(4), kappa2 = Var_r",
            sp.series(1 - sp.exp(-_cosine_series), epsilon, 0, 4).removeO(),
            epsilon**2 * _moments[0] / 2 + epsilon**3 * _moments[1] / 2,
        ),
    ),
    source=f"{PAPER}, Theorem 2, eq. 8 and appendix D.2",
)

T3 = Theorem(
    id="T3",
    name="paper-kl",
    title="Theorem 3 of the paper: KL divergence",
    statement="KL(p||q) is about Var_p(delta)/2. The relative error is of first order in the oscillation, "
    "with a third of "
    "T2's constant (C5).",
    status=Status.ASYMPTOTIC,
    hypotheses=("the oscillation of delta is small",),
    claims=(about(kl, var_p / 2),),
    derivation=(
        symbolic(
            "Taylor expansion of KL for V = 2, symbolic masses and values", lambda: _kl_of_finite_law(2)
        ),
        symbolic("The same for V = 3", lambda: _kl_of_finite_law(3)),
        argument(
            "Any V (A1): KL(p||q) = log E_p e^delta - E_p delta, the cumulant generating function of "
            "delta, centred."
        ),
        identity(
            "Its expansion in formal moments of any law: kappa2/2 + kappa3/6 + kappa4/24",
            _kl_series,
            epsilon**2 * _moments[0] / 2 + epsilon**3 * _moments[1] / 6 + epsilon**4 * _moments[2] / 24,
        ),
        identity("kappa2 is the variance", _moments[0], sp.Symbol("m2", real=True)),
    ),
    source=f"{PAPER}, Theorem 3, eq. 9 and appendix C",
)

THEOREMS = (T1, T2, T3)
