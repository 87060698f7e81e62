"""Family I: what float64 does to all of this, and how the numbers stay sound."""

from __future__ import annotations

import mpmath
import torch
from mpmath import mpf

from theory.certify.certificate import certify
from theory.certify.enclosure import enclose
from theory.drift.measure import measure
from theory.formulas.accuracy import ALLOWED, accuracy
from theory.formulas.functions.registry import stable_functions
from theory.formulas.interval_arithmetic import INTERVAL_FUNCTIONS, interval, lower_float, upper_float
from theory.formulas.symbols import QUANTITIES
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.proofs.step import Method, Step, StepFailedError, argument, computed
from theory.proofs.symbolic import symbolic
from theory.statements.c9_best_interval import INTERSECTED
from theory.theorems.intersection import intersection
from theory.theorems.theorem import Status, Theorem

MEASURED = (
    "kl",
    "kl_reverse",
    "js",
    "tv",
    "hellinger_sq",
    "chi2",
    "cosdist_p",
    "var_p",
    "var_q",
    "var_r",
    "var_w",
)
PRECISE = 1e-12


def _pairs(count: int = 60) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Float64 logits with gaps up to 1e4 and changes from 1e-9 to 10, V from 1 to 6."""
    generator = torch.Generator().manual_seed(20260324)
    pairs = []
    for k in range(count):
        size = 1 + k % 6
        spread, scale = (1.0, 10.0, 1e2, 1e4)[k % 4], 10.0 ** (-9 + k % 11)
        logits = spread * torch.randn(size, generator=generator, dtype=torch.float64)
        pairs.append((logits, logits + scale * torch.randn(size, generator=generator, dtype=torch.float64)))
    return pairs


def _exact(logits: torch.Tensor, perturbed: torch.Tensor) -> Instance:
    z, y = ([mpf(x) for x in t.tolist()] for t in (logits, perturbed))
    return Instance(z, [b - a for a, b in zip(z, y, strict=True)])


def _measure_is_precise() -> str:
    worst, which = 0.0, ""
    with mpmath.workdps(700):  # textbook formulas, atoms of 1e-290
        for logits, perturbed in _pairs():
            drift, truth = measure(logits, perturbed), _exact(logits, perturbed)
            for name in MEASURED:
                value, exact = getattr(drift, name).item(), truth.column(name)
                error = abs(value - exact) / exact if exact > 1e-290 else mpf(abs(value) > 1e-280)
                if not error <= worst:
                    worst, which = float(error), name
    if worst > PRECISE:
        raise StepFailedError(f"relative error {worst:.1e} in {which}")
    return f"60 pairs, {len(MEASURED)} columns: largest relative error {worst:.1e} ({which})"


I1 = Theorem(
    id="I1",
    name="safe-formulas",
    title="Every measured quantity to 12 digits",
    statement="KL, its reverse, Jensen-Shannon, TV, Hellinger, chi-squared, 1 - cos and the variances are "
    "sums of non-negative terms "
    "in x = delta - delta_top (exact zeros stay zero), evaluated with expm1, log1p and phi: no "
    "cancellation, whatever the "
    "size of the perturbation.",
    status=Status.EXACT,
    hypotheses=("float64 arithmetic", "values above 1e-290"),
    derivation=(
        argument(
            "KL = log1p(sum p X^2 phi(X)); 1 - cos = t^2/(s(1+s)) with t^2 = Var_r(e^delta)/(E_r "
            "e^delta)^2, s^2 = 1 + t^2."
        ),
        computed("measure against the definitions at high precision", Method.SAMPLED, _measure_is_precise),
    ),
    source="new",
)


def _naive_forms_fail() -> str:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, generator=generator, dtype=torch.float64).to(torch.float32)
    perturbed = logits + 1e-5 * torch.randn(50, generator=generator, dtype=torch.float64).to(torch.float32)
    p, q = logits.softmax(0), perturbed.softmax(0)
    drift = measure(logits, perturbed)
    naive_cosine = 1 - torch.nn.functional.cosine_similarity(p, q, dim=0).item()
    naive_kl = torch.sum(p * (p / q).log()).item()
    exact_cosine, exact_kl = drift.cosdist_p.item(), drift.kl.item()
    if min(abs(naive_cosine / exact_cosine - 1), abs(naive_kl / exact_kl - 1)) < 0.1:
        raise StepFailedError("the naive float32 formulas did well")
    return f"1-cos {naive_cosine:.1e} for {exact_cosine:.1e}; KL {naive_kl:.1e} for {exact_kl:.1e}"


I2 = Theorem(
    id="I2",
    name="naive-formulas",
    title="The textbook formulas fail where pruning is gentle",
    statement="At perturbations of 1e-5, float32 1 - cosine_similarity and sum p log(p/q) have no correct "
    "digit, and may be zero or "
    "negative; in float64 they lose ten digits. bfloat16 logits are resolved to |z|/256: that is a "
    "perturbation of its own.",
    status=Status.EXACT,
    hypotheses=("float32 arithmetic",),
    derivation=(computed("float32 textbook formulas against measure", Method.SIMULATED, _naive_forms_fail),),
    source="new",
)


def _certificates_enclose() -> str:
    checked = 0
    proved = [t for t in INTERSECTED if t.status in (Status.SHARP, Status.VALID)]
    with mpmath.workdps(DIGITS):
        for instance in adversarial()[::9]:
            for theorem in proved:
                for claim in theorem.claims:
                    if not (claim.measurable and claim.name in QUANTITIES):
                        continue
                    names = {name for bound in claim.bounds for name in bound.statistics}
                    exact = {name: interval(instance.column(name)) for name in names}
                    bounds = certify(claim, {n: (lower_float(x), upper_float(x)) for n, x in exact.items()})
                    truth = instance.column(claim.name)
                    checked += 1
                    if not bounds.lower.item() <= truth <= bounds.upper.item():
                        raise StepFailedError(
                            f"{theorem.id} {claim.name}: {bounds} misses {mpmath.nstr(truth, 17)}"
                        )
    return f"{checked} certified intervals contain the exact value"


def _exponential_encloses() -> bool:
    """exp(1e-42) - 1 - 1e-42 is positive: at 256 bits the interval must not collapse to 0."""
    from mpmath import iv

    saved, iv.prec = iv.prec, 256
    try:
        x = interval(1e-42)
        rest = INTERVAL_FUNCTIONS["exp"](x) - 1 - x
        return bool(rest.a < 5.0e-85 < rest.b)
    finally:
        iv.prec = saved


def _floats_enclose() -> str:
    checked = 0
    with mpmath.workdps(700):
        for logits, perturbed in _pairs():
            if logits.numel() == 1 or (logits.max() - logits.min()) > 300:
                continue  # beyond, the textbook formulas of the truth need more digits
            truth, statistics = _exact(logits, perturbed), enclose(logits, perturbed)
            for quantity in ("kl", "cosdist_p", "tv"):
                lower, upper, _ = intersection(INTERSECTED, statistics, quantity)
                checked += 1
                if not lower.item() <= truth.column(quantity) <= upper.item():
                    raise StepFailedError(f"{quantity} of {logits.tolist()} is outside [{lower}, {upper}]")
    return f"{checked} intervals from float64 logits contain the exact value"


I3 = Theorem(
    id="I3",
    name="sound-certificates",
    title="Certified bounds contain the exact value",
    statement="Statistics computed in float64 carry an enclosure of their exact values; a bound is "
    "evaluated in interval arithmetic "
    "at the outward end of the enclosure where it is monotone, by the mean value form where it is not, "
    "and rounded outward.",
    status=Status.VALID,
    derivation=(
        argument(
            "Sums, products, quotients and roots of mpmath.iv round outward; exponentials and logarithms "
            "are widened by us."
        ),
        symbolic(
            "the widened exponential encloses e^x - 1 - x at x = 1e-42, which mpmath.iv's own does not",
            _exponential_encloses,
        ),
        computed("every proved claim of A-D on adversarial instances", Method.SAMPLED, _certificates_enclose),
        computed("from floats: enclosed statistics, certified bounds", Method.SAMPLED, _floats_enclose),
    ),
    source="new",
)


def _safe_form_step(name: str) -> Step:
    function = next(f for f in stable_functions() if f.__name__ == name)

    def check() -> str:
        found = accuracy(function)
        if not found.error <= ALLOWED:
            raise StepFailedError(f"relative error {found.error:.1e} at {found.arguments}")
        return f"{found.points} points, largest relative error {found.error:.1e}"

    return computed(f"{name}: {(function.__doc__ or '').splitlines()[0]}", Method.SAMPLED, check)


I4 = Theorem(
    id="I4",
    name="safe-closed-forms",
    title="Every closed form to 13 digits, from R = 1e-12 to 1e4",
    statement="The functions in which the bounds are written have forms without cancellation near 0 and "
    "without overflow for large "
    "arguments; each agrees with its definition to 1e-13.",
    status=Status.EXACT,
    hypotheses=("float64 arithmetic", "values above 1e-290"),
    derivation=tuple(_safe_form_step(function.__name__) for function in stable_functions()),
    source="new",
)

THEOREMS = (I1, I2, I3, I4)
