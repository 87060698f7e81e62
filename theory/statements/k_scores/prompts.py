"""Family K, confidence: what a number of prompts can say, and how far a score moved (K0, K4, K11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp
import torch
from mpmath import mpf
from torch import Tensor

from theory.formulas.claims import at_least
from theory.proofs.relations import rarely
from theory.proofs.step import Method, StepFailedError, argument, computed
from theory.proofs.symbolic import identity
from theory.sequences.betting import log_e_value, lower_limit
from theory.sequences.verdicts import e_bh, fixed_sequence, prompts_needed
from theory.statements.k_scores.scored import Limit, above, every_sample, exact_error, random_values
from theory.statements.parameters import clean_limit, error_rate, prompts
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

ALPHA = 0.05
COARSE = 0.2  # four of eight values leave 70 samples: a rarer error would hardly show


def _floors() -> str:
    """The shipped limit never undercuts the floor, and the floor is where destroyed prompts go unseen."""
    for limit, least in ((0.15, 19), (0.1, 29), (0.05, 59)):
        if prompts_needed(limit, ALPHA) != least:
            raise StepFailedError(f"{prompts_needed(limit, ALPHA)} prompts for {limit}")
        if not (1 - limit) ** least <= ALPHA < (1 - limit) ** (least - 1):
            raise StepFailedError(f"{least} prompts is not the floor of {limit}")
    for count in (1, 2, 8, 16, 29, 64, 500):
        shipped = 1 - float(lower_limit(torch.ones(count, 1), ALPHA))
        if shipped < 1 - ALPHA ** (1 / count):
            raise StepFailedError(f"{count} prompts: {shipped} is below the floor")
    return "19, 29 and 59 prompts for 0.15, 0.1 and 0.05; the shipped limit stays above the floor"


def _whole_stake(x: Any) -> Mapping[str, Any]:
    """The limit of a gambler who stakes everything on m = 10 x + 1 clean prompts: mu^-m = 1/alpha."""
    count = 10 * x + 1
    low, high = mpf(0), mpf(1)
    for _ in range(160):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / middle) ** count >= 20 else (low, middle)
    return {"clean_limit": 1 - low, "prompts": count, "error_rate": mpf(1) / 20}


K0 = Theorem(
    id="K0",
    name="price-of-prompts",
    title="No limit below 1 - alpha^(1/m) from m prompts",
    statement="Let U be a (1 - alpha) upper limit of a loss or a total variation that is valid for every "
    "law of prompts, computed from drifts and scores alone. If nothing moved on any of m prompts, U >= 1 - "
    "alpha^(1/m), and Pr(U < eps) <= alpha (1-eps)^(-m) in general: 19 prompts for 0.15, 29 for 0.1, 59 "
    "for 0.05 at alpha = 0.05, whatever the method. Statements about these prompts (K1, K4) escape it.",
    status=Status.SHARP,
    claims=(at_least(clean_limit, 1 - error_rate ** (1 / prompts)),),
    hypotheses=("prompts are independent draws", "the limit is valid for every law of prompts"),
    derivation=(
        argument(
            "Destroy a share eps of the prompts: with probability (1-eps)^m the data are as of equal models."
        ),
        argument(
            "So (1-eps)^m Pr(U < eps) <= alpha; a limit that is one number when nothing moved is >= eps."
        ),
        computed("the three numbers, and the shipped limit above the floor", Method.ENUMERATED, _floors),
    ),
    witnesses=(Witness("betting with the whole stake (K4, c = 1)", values=_whole_stake, side="lower"),),
    source="rule of three, exactly; Clopper and Pearson 1934",
)


def _drawn() -> Iterator[tuple[Tensor, Tensor, Limit]]:
    rng = np.random.default_rng(4)
    for _ in range(40):
        law, values = random_values(rng)
        for rows in (1, 3, 5):
            sample, mass = every_sample([law] * rows, [values] * rows)
            yield sample, mass, above(float(law @ values), ALPHA)


def _listed() -> Iterator[tuple[Tensor, Tensor, Limit]]:
    rng = np.random.default_rng(5)
    for _ in range(40):
        laws, values = zip(*(random_values(rng) for _ in range(5)), strict=True)
        mean = float(np.mean([law @ x for law, x in zip(laws, values, strict=True)]))
        sample, mass = every_sample(laws, values)
        yield sample, mass, above(mean, ALPHA)


def _without_replacement() -> Iterator[tuple[Tensor, Tensor, Limit]]:
    rng = np.random.default_rng(6)
    for _ in range(40):
        values = np.exp(rng.choice([0.5, 2.0, 4.0]) * rng.normal(size=8)) * (rng.random(8) < 0.8)
        sample = torch.tensor(np.array(list(combinations(values, 4)))).T
        mass = torch.full((sample.shape[1],), 1 / sample.shape[1], dtype=torch.float64)
        mean = float(values.mean())
        yield sample, mass, above(mean, COARSE)


def _along_the_way() -> Iterator[tuple[Tensor, Tensor, Limit]]:
    rng = np.random.default_rng(7)
    for _ in range(20):
        law, values = random_values(rng)
        sample, mass = every_sample([law] * 6, [values] * 6)

        def ever(x: Tensor, mean: float = float(law @ values)) -> Tensor:
            looks = [lower_limit(x[:m], ALPHA, design=6) > mean for m in range(1, 7)]
            return torch.stack(looks).any(0)

        yield sample, mass, ever


def _dominance() -> str:
    """With the same stakes the uncapped limit is at least that of weights cut at 1 or 4, on every sample."""
    rng = np.random.default_rng(8)
    logs = torch.tensor(rng.normal(size=(12, 400)) - 0.5)
    right = torch.tensor(rng.random((12, 400)) < 0.7).double()
    full = lower_limit(1 - right + logs.exp() * right, ALPHA)
    for height in (1.0, 4.0):
        cut = lower_limit(1 - right + logs.exp().clamp(max=height) * right, ALPHA)
        if bool((cut > full * (1 + 1e-9)).any()):
            raise StepFailedError("a cap gives a larger limit")
    return "400 samples, two caps"


_c, _mu = sp.symbols("c mu", positive=True)
_m1, _m2 = sp.symbols("mu_1 mu_2", positive=True)

K4 = Theorem(
    id="K4",
    name="score-band",
    title="Betting without a cap: a band for the score and its change",
    statement="Let X_i >= 0 have mean mu, stakes c with fixed weights, G(mu) the average over stakes of "
    "prod_i (1 - c + c X_i/mu), L = inf{mu: G(mu) < 1/alpha}. Then Pr(L > mu) <= alpha for values of any "
    "size, so E_Q f lies in [L(wf), 1 - L(w(1-f))] and the change in [L(1-f+wf) - 1, 1 - L(f+w(1-f))]. "
    "(a) Drawn prompts: at every stopping time. (b) Listed prompts: texts are the units, the limit is for "
    "the average of their means. (c) Prompts drawn without replacement from a list. (d) No cap does better. "
    "(f) G is an e-value.",
    status=Status.VALID,
    hypotheses=(
        "X >= 0; the stakes are fixed before the first value",
        "(a) independent prompts of one law; (b) independent texts; (c) negatively associated values",
    ),
    derivation=(
        identity("E(1 - c + cX/mu) = 1", 1 - _c + _c * _mu / _mu, sp.Integer(1)),
        argument(
            "Markov's inequality at the last value, Ville's at every stopping time; G falls as mu grows."
        ),
        exact_error("drawn prompts: exact error over all samples", ALPHA, _drawn),
        exact_error("drawn prompts: exact error of looking after each of six", ALPHA, _along_the_way),
        identity(
            "Listed prompts, AM-GM for two means with average mu: the product falls short of 1 by a square",
            1 - (1 - _c + _c * _m1 / ((_m1 + _m2) / 2)) * (1 - _c + _c * _m2 / ((_m1 + _m2) / 2)),
            (_c * (_m1 - _m2) / (_m1 + _m2)) ** 2,
        ),
        exact_error("listed prompts of different means: exact error over all samples", ALPHA, _listed),
        argument(
            "Without replacement values are negatively associated, and each factor increases in its value."
        ),
        exact_error("four of eight values without replacement", COARSE, _without_replacement),
        computed("a cap on the weights only lowers the limit", Method.SAMPLED, _dominance),
    ),
    source="Waudby-Smith and Ramdas 2024; Karampatziakis, Mineiro and Ramdas 2021; (b), (c) new",
)


def _knowing_gambler() -> tuple[Any, Any]:
    """Expected wealth after twelve listed prompts of means 3/2, 1/2, .., staking on the odd ones only."""
    return (mpf(3) / 2) ** 6, mpf(1)


K4x = Theorem(
    id="K4x",
    name="stakes-that-vary",
    title="Folklore: stakes may vary from prompt to prompt",
    statement="FALSE for listed prompts: the wealth has mean at most 1 whatever the stakes. A gambler who "
    "knows that odd prompts have mean 3 mu/2 and even ones mu/2 stakes on odd ones only.",
    status=Status.FALSE,
    counterexample=Counterexample("twelve prompts of means 3/2, 1/2, ..: expected wealth", _knowing_gambler),
    hypotheses=("listed prompts; for drawn prompts stakes may depend on the past",),
    source="K4",
)


def _many_verdicts() -> Iterator[tuple[Any, float]]:
    """20 specs on the same 73 prompts, ten of them just unsafe; wrong 'safe' by e-BH and along a ladder."""
    g = torch.Generator().manual_seed(11)
    loss, runs, level = torch.tensor([0.0501] * 10 + [0.0] * 10), 200, 0.1
    shares, ladder = [], []
    for _ in range(runs):
        shared, own = torch.rand(73, 1, generator=g), torch.rand(73, 20, generator=g)
        kept = (torch.where(torch.arange(20) % 2 == 0, shared, own) >= loss).double()
        logs = log_e_value(kept, 0.95, level)
        chosen = e_bh(logs, level)
        shares.append(float(chosen[:10].sum()) / max(1, int(chosen.sum())))
        ladder.append(fixed_sequence(torch.cat([logs[10:], logs[:10]]), level) > 10)
    yield np.array(shares), level
    yield np.array(ladder), level


K11 = Theorem(
    id="K11",
    name="many-verdicts",
    title="Choosing among many specs",
    statement="(i) Specs ordered in advance, each tested at alpha, stopping at the first that is not "
    "rejected: some wrong 'safe' with probability at most alpha. (ii) e-BH: accept the k largest e-values, "
    "k = max{k: e_(k) >= s/(k alpha)}: the expected share of wrong ones is at most alpha, however they "
    "depend on each other. (iii) Bonferroni: e >= s/alpha.",
    status=Status.VALID,
    hypotheses=("e-values of K4, s specs on the same prompts",),
    derivation=(
        argument("(i) A wrong 'safe' needs the first true hypothesis of the order to be rejected."),
        argument(
            "(ii) If spec j is accepted among k, then 1/k <= alpha e_j/s; sum over the wrong ones: <= alpha."
        ),
        rarely("20 specs that share their prompts", _many_verdicts),
    ),
    source="Wang and Ramdas 2022",
)

THEOREMS = (K0, K4, K4x, K11)
