"""Family H: multiple choice: drift on an option set, flips of the argmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import at_most, equal
from theory.formulas.symbols import kl, option_mass, oscillation, parameter, temperature, var_p
from theory.instances.instance import Number, moderate, variance
from theory.proofs.relations import simulated, within
from theory.proofs.sampled import sampled
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import expansion, identity, symbolic
from theory.statements.shared_steps import Instance
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

R = oscillation
kl_options = parameter("kl_options", r"\mathrm{KL}(p_S\|q_S)", "KL divergence of the option distributions")
var_options = parameter(
    "var_options", r"\mathrm{Var}_{p_S}", "variance of delta under the option distribution"
)
oscillation_options = parameter("oscillation_options", "R_S", "max delta - min delta over the options")
flip_probability = parameter(
    "flip_probability", r"\mathbb{P}(\mathrm{flip})", "probability that two options swap"
)
option_gap = parameter("option_gap", r"g_S", "dense logit gap of the two options")
logit_noise = parameter("logit_noise", "s", "standard deviation of the noise on each logit")


def _conditional(weights: list[Number], chosen: list[int]) -> list[Number]:
    total = mpmath.fsum(weights[k] for k in chosen)
    return [weights[k] / total for k in chosen]


def _kl(p: list[Number], q: list[Number]) -> Number:
    return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))


def _option_columns(x: Instance, chosen: list[int]) -> dict[str, Number]:
    p, q = _conditional(x.p, chosen), _conditional(x.q, chosen)
    delta = [x.delta[k] for k in chosen]
    return {
        "kl_options": _kl(p, q),
        "var_options": variance(p, delta),
        "oscillation_options": max(delta) - min(delta),
        "option_mass": mpmath.fsum(x.p[k] for k in chosen),
    }


def _every_option_set(x: Instance) -> Iterator[Relation]:
    size = len(x.p)
    columns = x.columns(("kl", "var_p", "oscillation"))
    for mask in range(3, 2**size - 1):
        chosen = [k for k in range(size) if mask >> k & 1]
        if len(chosen) < 2 or size > 5:
            continue
        values = _option_columns(x, chosen)
        rest = [k for k in range(size) if k not in chosen]
        kl_rest = _kl(_conditional(x.p, rest), _conditional(x.q, rest))
        mass, mass_q = values["option_mass"], mpmath.fsum(x.q[k] for k in chosen)
        split = mass * mpmath.log(mass / mass_q) + (1 - mass) * mpmath.log((1 - mass) / (1 - mass_q))
        chain = split + mass * values["kl_options"] + (1 - mass) * kl_rest
        yield abs(chain - columns["kl"]), "<=", mpf(10) ** -60 + mpf(10) ** -25 * columns["kl"]
        for claim in H1.claims:
            symbols = {name: (values | columns)[name] for name in claim.columns}
            for left, sign, right in within(claim, values[claim.name], **symbols):
                yield left, sign, right + mpf(10) ** -60


def _chain_rule() -> bool:
    """KL = d(p(S)||q(S)) + p(S) KL_S + p(S^c) KL_{S^c}, four tokens, S the first two, symbolic masses."""
    p, q = sp.symbols("p1:5", positive=True), sp.symbols("q1:5", positive=True)

    def divergence(a: list[Any], b: list[Any]) -> Any:
        return sum(x * sp.log(x / y) for x, y in zip(a, b, strict=True))

    total = divergence(list(p), list(q))
    parts = sp.Integer(0)
    for k in (0, 2):
        mass, mass_q = p[k] + p[k + 1], q[k] + q[k + 1]
        inside = divergence([p[k] / mass, p[k + 1] / mass], [q[k] / mass_q, q[k + 1] / mass_q])
        parts += mass * sp.log(mass / mass_q) + mass * inside
    return bool(sp.simplify(sp.expand_log(total - parts, force=True)) == 0)


def _total_variance() -> bool:
    """Var_p = E Var_{p|S} + Var of the two means: three tokens, S the first two."""
    a, b = sp.symbols("a b", positive=True)
    p, x = (a, b, 1 - a - b), sp.symbols("x1:4", real=True)
    middle = sum(m * v for m, v in zip(p, x, strict=True))
    total = sum(m * v**2 for m, v in zip(p, x, strict=True)) - middle**2
    inner = (a * x[0] + b * x[1]) / (a + b)
    within_options = a * x[0] ** 2 + b * x[1] ** 2 - (a + b) * inner**2
    between_groups = (a + b) * (inner - middle) ** 2 + p[2] * (x[2] - middle) ** 2
    return bool(sp.simplify(total - within_options - between_groups) == 0)


def _balanced(x: Any) -> tuple[list[Any], list[Any]]:
    """Two options of mass 1/4 each, delta = log(1 +- x), and a rest at 0: q(S) = p(S)."""
    quarter, rest = mpmath.log(mpf(1) / 4), mpmath.log(mpf(1) / 2)
    return [quarter, quarter, rest], [mpmath.log1p(x), mpmath.log1p(-x), mpf(0)]


def _symmetric(x: Any) -> tuple[list[Any], list[Any]]:
    """The same with delta = +-x: both groups have mean 0."""
    return _balanced(x)[0], [x, -x, mpf(0)]


H1 = Theorem(
    id="H1",
    name="option-set",
    title="Drift on an option set",
    statement="Renormalise p and q to a set S of options. Then R_S <= R, every bound of families A to D "
    "holds with p_S and R_S, and KL(p_S||q_S) <= KL(p||q)/p(S), Var_{p_S} <= Var_p/p(S). Exactly, KL = "
    "d(p(S)||q(S)) + p(S) KL_S + p(S^c) KL_{S^c}. The factor 1/p(S) is needed.",
    status=Status.SHARP,
    claims=(
        at_most(kl_options, kl / option_mass, increasing=("kl",), decreasing=("option_mass",)),
        at_most(var_options, var_p / option_mass, increasing=("var_p",), decreasing=("option_mass",)),
        at_most(oscillation_options, oscillation, increasing=("oscillation",)),
    ),
    derivation=(
        symbolic("Chain rule, four tokens with symbolic masses", _chain_rule),
        symbolic("Law of total variance, three tokens with symbolic masses", _total_variance),
        argument("Drop the non-negative terms; max and min over a subset lie inside."),
        sampled("Chain rule and claims for every option set", _every_option_set),
    ),
    witnesses=(
        Witness(
            "two options of mass 1/4, q = p (1 +- x), nothing else moves",
            _balanced,
            values=lambda x: _option_columns(Instance(*_balanced(x)), [0, 1]),
            parameters=("1e-6", "0.1", "0.9"),
        ),
        Witness(
            "the same with delta = +-x",
            _symmetric,
            claim=1,
            values=lambda x: _option_columns(Instance(*_symmetric(x)), [0, 1]),
            parameters=("1e-6", "0.1", "3"),
        ),
        Witness(
            "the same: the options hold the extremes",
            _symmetric,
            claim=2,
            values=lambda x: _option_columns(Instance(*_symmetric(x)), [0, 1]),
            parameters=("1e-6", "0.1", "3"),
        ),
    ),
    source="chain rule",
)


def _options_drift_more() -> tuple[Any, Any]:
    x = Instance([mpmath.log(mpf(m)) for m in ("0.98", "0.01", "0.01")], [mpf(0), mpf(1), mpf(-1)])
    return _option_columns(x, [1, 2])["kl_options"], x.column("kl")


H1x = Theorem(
    id="H1x",
    name="options-drift-less",
    title="Folklore: the drift on a subspace is at most the global drift",
    statement="KL(p_S||q_S) <= KL(p||q), as for any coarser view. Conditioning is not data processing: a "
    "set of small probability is magnified by 1/p(S).",
    status=Status.FALSE,
    counterexample=Counterexample("p = (.98, .01, .01), delta = (0, 1, -1), S = {2, 3}", _options_drift_more),
)


def _argmax_moves(x: Instance) -> Iterator[Relation]:
    """If the margin exceeds R, then the argmax stays; p_1/p_2 > e^R is the same."""
    order = sorted(range(len(x.z)), key=lambda k: -x.z[k])
    first, second = order[:2]
    if x.z[first] - x.z[second] > x.column("oscillation"):
        others = max(x.q[k] for k in range(len(x.q)) if k != first)
        yield others, "<=", x.q[first]
    ratio = mpmath.log(x.p[first]) - mpmath.log(x.p[second])
    yield ratio, "=", x.z[first] - x.z[second]


def _gaussian_flips() -> Iterator[tuple[Any, float]]:
    rng = np.random.default_rng(72)
    for gap, s in ((1.0, 0.8), (0.1, 2.0), (3.0, 1.0)):
        D = s * rng.normal(size=(100_000, 2))
        flipped = (gap + D[:, 0] - D[:, 1] < 0).astype(float)
        yield flipped, float(H2.claims[0].bounds[0](option_gap=gap, logit_noise=s))


_z = sp.symbols("z1:3", real=True)

H2 = Theorem(
    id="H2",
    name="argmax-options",
    title="The argmax over options: exact test, sufficient tests, Gaussian flips",
    statement="The argmax i over S is unchanged if and only if z_i - z_j > D_j - D_i for every other j. "
    "Sufficient: a margin above osc_S(D), or p_1/p_2 > e^R. Two options under independent Gaussian noise of "
    "size s flip with probability Phi(-gap/(sqrt(2) s)).",
    status=Status.EXACT,
    hypotheses=("no ties", "the probability: D independent Gaussian, variance s^2"),
    claims=(equal(flip_probability, sp.erfc(option_gap / (2 * logit_noise)) / 2),),
    derivation=(
        argument("z_i + D_i > z_j + D_j rearranged; D_j - D_i is at most the oscillation."),
        identity(
            "log p_1/p_2 is the margin over T, so p_1/p_2 > e^R is the oscillation test",
            sp.expand_log(sp.log(sp.exp(_z[0] / temperature) / sp.exp(_z[1] / temperature)), force=True),
            (_z[0] - _z[1]) / temperature,
        ),
        sampled("Margin above R keeps the argmax", _argmax_moves, instances=moderate),
        argument("D_2 - D_1 is Gaussian with variance 2 s^2."),
        simulated("Three gaps, 100,000 draws", _gaussian_flips),
    ),
    limit=expansion(
        "A coin at vanishing gap: 1/2 - gap/(2 sqrt(pi) s)",
        sp.erfc(option_gap / (2 * logit_noise)) / 2,
        option_gap,
        sp.Rational(1, 2) - option_gap / (2 * sp.sqrt(sp.pi) * logit_noise),
    ),
    source="elementary",
)

THEOREMS = (H1, H1x, H2)
