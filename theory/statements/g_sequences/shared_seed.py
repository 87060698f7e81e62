"""Family G, shared randomness: equal seeds couple Gumbel samplers as well as can be, inverse CDFs not."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.formulas.symbols import oscillation, tv
from theory.instances.instance import DIGITS, Instance, adversarial
from theory.instances.two_atom_laws import swap
from theory.proofs.sampled import sampled
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import identity, symbolic
from theory.statements.parameters import gumbel_flip, uniform_flip
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

R = oscillation


def flip(x: Instance) -> Any:
    """Chance that argmax(log p + G) and argmax(log q + G) differ, by the exponential race."""
    agree = [
        a / mpmath.fsum(max(b, b * mpmath.exp(e - d)) for b, e in zip(x.p, x.delta, strict=True))
        for a, d in zip(x.p, x.delta, strict=True)
    ]
    return 1 - mpmath.fsum(agree)


def _bounds(x: Instance) -> list[Relation]:
    found, tv = flip(x), x.column("tv")
    return [
        (tv, "<=", found),
        (found, "<=", mpmath.tanh(x.column("oscillation") / 4)),
        (found, "<=", 2 * tv / (1 + tv)),
    ]


def _other_forms(x: Instance) -> list[Relation]:
    """The sum over ratios, and the sorted sum over gaps of delta."""
    pairs = list(zip(x.p, x.q, strict=True))
    ratios = mpmath.fsum(1 / mpmath.fsum(max(c / a, d / b) for c, d in pairs) for a, b in pairs)
    order = sorted(range(len(pairs)), key=lambda k: x.delta[k])
    y = [mpmath.exp(x.delta[k]) for k in order]
    below, gaps = mpf(0), []
    for k in range(len(order) - 1):
        below += x.p[order[k]]
        above = mpmath.fsum(x.p[order[j]] * y[j] for j in range(k + 1, len(order)))
        gaps.append(below * above * (y[k + 1] - y[k]) / ((y[k + 1] * below + above) * (y[k] * below + above)))
    return [(1 - ratios, "=", flip(x)), (mpmath.fsum(gaps), "=", flip(x))]


def _first_order() -> str:
    """Small delta: flip / (half the Gini mean difference) -> 1."""
    worst = mpf(0)
    with mpmath.workdps(DIGITS):
        for x in adversarial()[::9]:
            size = mpf(10) ** -20 / x.column("oscillation")
            small = Instance(x.z, [size * d for d in x.delta])
            pairs = [(a, d) for a, d in zip(small.p, small.delta, strict=True)]
            gini = mpmath.fsum(a * b * abs(c - d) for a, c in pairs for b, d in pairs)
            worst = max(worst, abs(2 * flip(small) / gini - 1))
    if worst > mpf(10) ** -18:
        raise StepFailedError(f"ratio off by {mpmath.nstr(worst, 3)} at R = 1e-20")
    return f"ratio off by at most {mpmath.nstr(worst, 2)} at R = 1e-20"


def _simulated_race() -> str:
    rng = np.random.default_rng(24)
    p, delta, draws = rng.dirichlet(np.ones(6)), rng.normal(size=6), 200_000
    noise = rng.gumbel(size=(draws, 6))
    seen = float(((np.log(p) + noise).argmax(1) != (np.log(p) + delta + noise).argmax(1)).mean())
    truth = float(flip(Instance([mpmath.log(mpf(float(a))) for a in p], [mpf(float(d)) for d in delta])))
    if abs(seen - truth) > 5 * math.sqrt(truth / draws):
        raise StepFailedError(f"simulated {seen}, formula {truth}")
    return f"{draws} races: {seen:.5f}, formula {truth:.5f}"


def _raced(build: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """Values for a witness: flip, TV and R of a pair."""

    def values(x: Any) -> dict[str, Any]:
        instance = Instance(*build(x))
        return {"gumbel_flip": flip(instance), **instance.columns(("tv", "oscillation"))}

    return values


def _disjoint_rests(x: Any) -> tuple[list[Any], list[Any]]:
    """p = (1-b, b, 0), q = (1-b, 0, b) up to 1e-40: R grows, TV = b."""
    b, zero = mpf(1) / 4 / (1 + x), mpf(10) ** -40
    p, q = [1 - b, b, zero], [1 - b, zero, b]
    return [mpmath.log(a) for a in p], [mpmath.log(c / a) for a, c in zip(p, q, strict=True)]


_y, _F = sp.symbols("y F", positive=True)


def _slope_of_logit() -> bool:
    """On a gap of the support F is constant and G' = F, so h = yF/G has d logit h / d log y = 1."""
    G = sp.Function("G", positive=True)(_y)
    h = _y * _F / G
    slope = _y * sp.diff(sp.log(h / (1 - h)), _y)
    return bool(sp.simplify(slope.subs(sp.diff(G, _y), _F) - 1) == 0)


G11 = Theorem(
    id="G11",
    name="gumbel-flip",
    title="Sampling with the same Gumbel noise",
    statement="With x = argmax(log p + G), y = argmax(log q + G): P(x = y) = sum_i p_i / E_p max(1, "
    "e^(delta - delta_i)), and TV <= P(x != y) <= min(tanh(R/4), 2TV/(1+TV)). Over all p at oscillation R "
    "the worst case is the one of the best coupling: a shared seed loses nothing. To first order the flip "
    "is half the Gini mean difference of delta.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(gumbel_flip, tv, increasing=("tv",)),
            at_most(gumbel_flip, sp.tanh(R / 4), increasing=("oscillation",)),
        ),
        at_most(gumbel_flip, 2 * tv / (1 + tv), increasing=("tv",)),
    ),
    derivation=(
        argument("Exponential race: token i wins both with rate max(p_j/p_i, q_j/q_i) of its rivals j."),
        sampled("the race, the sum over ratios and the sorted O(V log V) sum are equal", _other_forms),
        argument(
            "F the cdf of Y = e^delta under p, G(y) = E max(y, Y), h = yF/G: by parts P(x != y) = int "
            "h(1-h) dy/y."
        ),
        symbolic("Between atoms logit h has slope 1 in log y; at atoms it jumps up", _slope_of_logit),
        identity(
            "so the integral is at most that of sigma' over a symmetric window of length R: tanh(R/4)",
            1 / (1 + sp.exp(-R / 2)) - 1 / (1 + sp.exp(R / 2)),
            sp.tanh(R / 4),
        ),
        sampled("the three bounds", _bounds),
        computed("half the Gini mean difference as delta -> 0", Method.SAMPLED, _first_order),
        computed("the formula against simulated races", Method.SIMULATED, _simulated_race),
    ),
    witnesses=(
        Witness("the swap pair", values=_raced(swap)),
        Witness("two atoms: the flip is TV", values=_raced(swap), side="lower"),
        Witness(
            "p = (1-b, b, 0), q = (1-b, 0, b) in the limit",
            values=_raced(_disjoint_rests),
            claim=1,
            parameters=("0.1", "1", "10"),
        ),
    ),
    hypotheses=(
        "p, q have full support (finite logits)",
        "argmax or exponential-race sampling, e.g. torch.multinomial(p, 1) from equal generator states",
    ),
    source="Gumbel-max; weighted MinHash (Daliri, Musco, Suresh 2024) for 2TV/(1+TV)",
)


def inverse_cdf_flip(p: list[Fraction], q: list[Fraction]) -> Fraction:
    """Chance that one uniform, looked up in both cumulative sums, gives different tokens."""
    agree, start_p, start_q = Fraction(0), Fraction(0), Fraction(0)
    for a, b in zip(p, q, strict=True):
        agree += max(Fraction(0), min(start_p + a, start_q + b) - max(start_p, start_q))
        start_p, start_q = start_p + a, start_q + b
    return 1 - agree


def _one_token_doubled(size: int) -> tuple[list[Fraction], list[Fraction]]:
    p = [Fraction(1, size)] * size
    rest = (1 - Fraction(2, size)) / (size - 1)
    return p, [Fraction(2, size)] + [rest] * (size - 1)


def _half_favoured(size: int, growth: Fraction) -> tuple[list[Fraction], list[Fraction]]:
    """Uniform p; the first half of the tokens gains log(growth)."""
    low = Fraction(2, size) / (1 + growth)
    return [Fraction(1, size)] * size, [growth * low] * (size // 2) + [low] * (size // 2)


def _always_half() -> str:
    for size in range(2, 60):
        if inverse_cdf_flip(*_one_token_doubled(size)) != Fraction(1, 2):
            raise StepFailedError(f"flip is not 1/2 at V = {size}")
    return "exactly 1/2 at V = 2 .. 59, where TV = 1/V"


def _sum_of_overlaps() -> bool:
    """Token j >= 1 keeps the overlap (j-1)/(V(V-1)), token 0 keeps 1/V."""
    j, V = sp.symbols("j V", positive=True, integer=True)
    overlap = sp.summation((j - 1) / (V * (V - 1)), (j, 1, V - 1))
    return bool(sp.simplify(1 - overlap - 1 / V - sp.Rational(1, 2)) == 0)


def _almost_surely() -> str:
    """Any oscillation, however small, flips almost every token of a large flat vocabulary."""
    seen = []
    for size, growth in ((1000, Fraction(11, 10)), (4000, Fraction(101, 100)), (4000, Fraction(2))):
        found = inverse_cdf_flip(*_half_favoured(size, growth))
        bound = 1 - Fraction(2, size) * ((growth + 1) / (growth - 1) + 1)
        if found < bound:
            raise StepFailedError(f"flip {float(found)} below {float(bound)}")
        seen.append(f"V={size}, R={math.log(growth):.3f}: {float(found):.4f}")
    return "; ".join(seen)


def _flip_above_gumbel_bound() -> tuple[Any, Any]:
    p, q = _half_favoured(4000, Fraction(101, 100))
    return mpf(float(inverse_cdf_flip(p, q))), mpmath.tanh(mpmath.log(mpf(101) / 100) / 4)


G12 = Theorem(
    id="G12",
    name="inverse-cdf-flip",
    title="Folklore: sharing the uniform of inverse-CDF sampling keeps the tokens",
    statement="FALSE: small drift and one shared uniform give equal tokens. Doubling one of V equal "
    "tokens has TV = 1/V and flips with probability exactly 1/2 for every V. Worse, at any oscillation R "
    "> 0 a flat vocabulary flips with probability at least 1 - (2/V)(coth(R/2) + 1): almost surely as V "
    "grows, while Gumbel sharing stays below tanh(R/4).",
    status=Status.FALSE,
    claims=(at_most(uniform_flip, sp.tanh(R / 4)),),
    derivation=(
        symbolic("doubling one of V tokens: overlaps (j-1)/(V(V-1)) and 1/V leave 1/2", _sum_of_overlaps),
        computed("the same by exact rational arithmetic", Method.ENUMERATED, _always_half),
        argument(
            "Half the tokens gain R: token j agrees only while j steps of drift fit in one token, j < "
            "coth(R/2) + 1, at either end."
        ),
        computed("flat vocabularies, the first half favoured", Method.ENUMERATED, _almost_surely),
    ),
    counterexample=Counterexample(
        "V = 4000 equal tokens, the first 2000 gain R = log 1.01: flip 0.95 against tanh(R/4) = 0.0025",
        _flip_above_gumbel_bound,
    ),
    hypotheses=("tokens are drawn by looking one uniform up in the cumulative sum",),
    source="exact rational arithmetic",
)

THEOREMS = (G11, G12)
