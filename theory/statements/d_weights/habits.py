"""Family D, last: what common code measures instead."""

from __future__ import annotations

import mpmath
import torch
from mpmath import mpf

from theory.instances.instance import Instance, mean, variance
from theory.proofs.sampled import sampled
from theory.proofs.step import Method, Relation, StepFailedError, computed
from theory.theorems.theorem import Status, Theorem


def _batchmean() -> str:
    """torch's "batchmean" on a 1-D vector divides by V."""
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.randn(7, generator=generator, dtype=torch.float64).log_softmax(0) for _ in range(2))
    exact = torch.sum(p.exp() * (p - q))
    logged = torch.nn.functional.kl_div(q, p, log_target=True, reduction="batchmean")
    if not torch.isclose(logged * 7, exact, rtol=1e-12):
        raise StepFailedError(f"batchmean gave {logged}, exact KL {exact}")
    return f"batchmean {logged:.6f}, KL {exact:.6f} = 7 x that"


def _floored(x: Instance) -> list[Relation]:
    """KL with log(q + floor) instead of log q, floor = 1e-12."""
    floor = mpf(10) ** -12
    biased = mpmath.fsum(a * (mpmath.log(a) - mpmath.log(b + floor)) for a, b in zip(x.p, x.q, strict=True))
    ratio = mpmath.fsum(a / b for a, b in zip(x.p, x.q, strict=True))
    return [
        (biased, "<=", x.column("kl")),
        (-mpmath.log1p(len(x.p) * floor), "<=", biased),
        (x.column("kl") - biased, "<=", mpmath.log1p(floor * ratio)),
    ]


def _deficient(x: Instance) -> list[Relation]:
    """Weights r/(1 + 1e-12 scale) of total mass s: the raw formula gains s (1-s)^2 (E delta)^2."""
    s = mpf("0.9")
    centre = s * mean(x.r, x.delta)
    raw = mpmath.fsum(s * w * (d - centre) ** 2 for w, d in zip(x.r, x.delta, strict=True))
    expected = s * variance(x.r, x.delta) + s * (1 - s) ** 2 * mean(x.r, x.delta) ** 2
    return [(raw, "=", expected)]


D4 = Theorem(
    id="D4",
    name="reference-artefacts",
    title="What common code measures instead",
    statement="Three habits change the number: weights normalised by (sum + 1e-12) add a shift-dependent "
    "term; log(q + 1e-12) biases "
    "KL low, by at most log(1 + 1e-12 sum p/q), and caps it at 27.63 nats; reduction='batchmean' on a 1-D "
    "vector divides "
    "KL by the vocabulary size.",
    status=Status.EXACT,
    derivation=(
        sampled("weights of mass s: s Var + s (1-s)^2 (mean)^2", _deficient),
        sampled("-log(1 + V floor) <= floored KL <= KL <= floored KL + log(1 + floor sum p/q)", _floored),
        computed("batchmean on a vector of 7 divides by 7", Method.SIMULATED, _batchmean),
    ),
    source="reading of the paper's scripts",
)

THEOREMS = (D4,)
