"""Family J, forecasting: what the perturbed model would write, from one teacher-forced pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import torch

from theory.formulas.claims import Claim
from theory.instances.trees import Prefix, Tree, total_variation, trees
from theory.proofs.enumerated import enumerated
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.sequences.confidence import (
    dkw_band,
    empirical_bernstein_band,
    hoeffding_band,
    survival_indicators,
)
from theory.sequences.survival import coupled_divergence_times, kl_terms, survival_weights, tv_terms
from theory.statements.parameters import identical_tokens, sequence_kl, sequence_tv, survival
from theory.theorems.theorem import Status, Theorem


def _unbiased(tree: Tree) -> Iterator[Relation]:
    """The estimators' means over dense text, and the smaller second moment of the averaged one."""
    leaves = tree.leaves
    yield mpmath.fsum(x.p * (x.agree / x.p) for x in leaves), "=", tree["survival"]
    yield mpmath.fsum(x.p * max(1 - x.q / x.p, mpmath.mpf(0)) for x in leaves), "=", tree["sequence_tv"]
    yield mpmath.fsum(x.p * -mpmath.log(x.q / x.p) for x in leaves), "=", tree["sequence_kl"]
    weights = mpmath.fsum(x.p * (x.agree / x.p) for level in tree.levels[1:] for x in level)
    yield weights, "=", tree["identical_tokens"]
    last = [(x, 1 - total_variation(*tree.law(x.prefix))) for x in tree.levels[-2]]
    averaged = mpmath.fsum(x.agree**2 / x.p * kept**2 for x, kept in last)
    yield averaged, "<=", mpmath.fsum(x.agree**2 / x.p for x in leaves)


def _log_ratios(tree: Tree, samples: int, rng: np.random.Generator) -> torch.Tensor:
    """log q_t/p_t along ``samples`` texts drawn from the dense model; (samples, steps)."""
    rows: dict[Prefix, tuple[Any, Any]] = {}
    found = np.empty((samples, tree.steps))
    for sample in range(samples):
        prefix: Prefix = ()
        for t in range(tree.steps):
            if prefix not in rows:
                p, q = (np.array([float(a) for a in law]) for law in tree.law(prefix))
                rows[prefix] = p.cumsum(), np.log(q / p)
            cumulative, log_ratio = rows[prefix]
            token = min(int(np.searchsorted(cumulative, rng.random())), len(cumulative) - 1)
            found[sample, t] = log_ratio[token]
            prefix = (*prefix, token)
    return torch.from_numpy(found)


def _simulated() -> str:
    """Means, divergence times and bands from sampled dense text against enumeration; fixed seed."""
    rng, tree = np.random.default_rng(34), trees()[1]
    log_ratio = _log_ratios(tree, 20_000, rng)
    exact = np.array([float(tree.survival_after(k)) for k in range(1, tree.steps + 1)])
    tail = 5 / (2 * math.sqrt(len(log_ratio)))  # five standard errors of a number in [0, 1]
    ends = {
        "survival": (survival_weights(log_ratio), float(tree["survival"])),
        "tv": (tv_terms(log_ratio), float(tree["sequence_tv"])),
        "kl": (kl_terms(log_ratio), float(tree["sequence_kl"])),
    }
    for name, (terms, truth) in ends.items():
        if abs(float(terms[:, -1].mean()) - truth) > tail:
            raise StepFailedError(f"{name}: {float(terms[:, -1].mean())}, exact {truth}")
    times = coupled_divergence_times(log_ratio, torch.from_numpy(rng.random(len(log_ratio))))
    curve = np.array([(times >= k).double().mean().item() for k in range(1, tree.steps + 1)])
    if np.abs(curve - exact).max() > math.sqrt(math.log(2 / 1e-6) / (2 * len(times))):
        raise StepFailedError(f"divergence times {curve}, survival {exact}")
    return f"20000 dense texts; divergence times within {np.abs(curve - exact).max():.4f} of survival"


def _coverage() -> str:
    """Share of 400 samples of 100 prompts whose 90 % bands contain the truth."""
    rng, tree = np.random.default_rng(35), trees()[2]
    log_ratio = _log_ratios(tree, 8000, rng)
    weights = survival_weights(log_ratio)
    times = coupled_divergence_times(log_ratio, torch.from_numpy(rng.random(len(log_ratio))))
    steps = survival_indicators(times, tree.steps)
    exact = torch.tensor(
        [float(tree.survival_after(k)) for k in range(1, tree.steps + 1)], dtype=torch.float64
    )
    inside = {"Hoeffding": 0, "empirical Bernstein": 0, "DKW (all steps)": 0}
    for _ in range(400):
        rows = torch.from_numpy(rng.integers(0, len(weights), 100))
        bands = {
            "Hoeffding": hoeffding_band(weights[rows, -1:], 0.9),
            "empirical Bernstein": empirical_bernstein_band(weights[rows, -1:], 0.9),
            "DKW (all steps)": dkw_band(steps[rows], 0.9),
        }
        for name, band in bands.items():
            truth = exact[-1:] if band.mean.numel() == 1 else exact
            inside[name] += bool(((band.lower <= truth) & (truth <= band.upper)).all())
    if min(inside.values()) < 0.9 * 400:
        raise StepFailedError(f"coverage of 400: {inside}")
    return ", ".join(f"{name} {count / 4:.1f} %" for name, count in inside.items())


J1 = Theorem(
    id="J1",
    name="forecast",
    title="Free-running drift from one teacher-forced pass over dense text",
    statement="With x drawn from the dense model, rho_t = q_t(x_t)/p_t(x_t), W_n = prod_(t<=n) min(1, "
    "rho_t) and L_n = sum log rho_t: E W_n = S_n, E (1 - e^(L_n))_+ = TV(P_n,Q_n), E(-L_n) = KL_n, E "
    "sum_n W_n = expected identical prefix. The first, second and, divided by n, fourth lie in [0,1], so "
    "finite-sample bands hold over prompts. With U uniform, max{n: W_n >= U} is an exact sample of the "
    "coupled first divergence, so one DKW band covers the whole survival curve.",
    status=Status.EXACT,
    claims=(Claim(survival), Claim(sequence_tv), Claim(sequence_kl), Claim(identical_tokens)),
    hypotheses=(
        "P and Q are the laws as sampled from, truncation included (K8); texts are sampled from P",
        "KL: every text of P is one of Q, else it is infinite",
        "prompts are independent draws",
    ),
    derivation=(
        argument("Change of measure from Q or min(P,Q) to P; no text of the perturbed model is needed."),
        enumerated(
            "the four means, and E[(W_(n-1)(1 - TV_n))^2] <= E[W_n^2] for the averaged last factor", _unbiased
        ),
        argument("W_n decreases in n, so P(max{n: W_n >= U} >= n) = E P(U <= W_n) = E W_n = S_n."),
        computed("estimators and divergence times on sampled text", Method.SIMULATED, _simulated),
        argument(
            "Hoeffding, empirical Bernstein (Maurer and Pontil, the level split over two tails and the "
            "variance) and DKW apply to independent values in [0,1]."
        ),
        computed("coverage of the 90 % bands", Method.SIMULATED, _coverage),
    ),
    source="importance weighting; Rao-Blackwell; Hoeffding 1963, Maurer and Pontil 2009, Massart 1990",
)

THEOREMS = (J1,)
