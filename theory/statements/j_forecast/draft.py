"""Family J, drafting: acceptance and temperature of a draft model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
import torch
from mpmath import mpf
from scipy.optimize import minimize_scalar

from theory.formulas.claims import at_least
from theory.formulas.symbols import temperature
from theory.proofs.step import Method, StepFailedError, argument, computed
from theory.proofs.symbolic import identity
from theory.sequences.drafting import draft_temperature
from theory.statements.parameters import acceptance_rate, draft_spread
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness

_b = sp.Symbol("b", real=True)
_z, _w = sp.symbols("z:3", real=True), sp.symbols("w:3", positive=True)


def _draft_kl() -> sp.Expr:
    """KL(p||q_b) up to a constant, for three tokens, q_b proportional to e^(b z)."""
    mean = sum(w * z for w, z in zip(_w, _z, strict=True)) / sum(_w)
    return sp.log(sum(sp.exp(_b * z) for z in _z)) - _b * mean


def _draft_mean(power: int) -> sp.Expr:
    weights = [sp.exp(_b * z) for z in _z]
    return sum(w * z**power for w, z in zip(weights, _z, strict=True)) / sum(weights)


def _optimal_draft() -> str:
    rng = np.random.default_rng(37)
    worst = 0.0
    for _ in range(20):
        z = rng.normal(size=20) * 2
        draft = 0.7 * z + 0.3 * rng.normal(size=20)
        p = torch.softmax(torch.from_numpy(z), -1)

        def kl_at(inverse: float, p: torch.Tensor = p, draft: np.ndarray = draft) -> float:
            log_q = torch.log_softmax(inverse * torch.from_numpy(draft), -1)
            return float((p * (p.log() - log_q)).sum())

        found = 1 / float(draft_temperature(torch.from_numpy(z), torch.from_numpy(draft)))
        best = minimize_scalar(kl_at, bounds=(0, 20), method="bounded", options={"xatol": 1e-10})
        worst = max(worst, kl_at(found) - best.fun)
    if worst > 1e-12:
        raise StepFailedError(f"the stationary draft is {worst} above the minimum")
    return f"20 pairs of 20 tokens: never more than {max(worst, 0):.0e} above the minimum found by search"


def _accepted(temperature: Any, gap: Any = 3, move: Any = 0.5) -> Any:
    """Acceptance of two tokens with logit gap ``gap`` and ``gap + move`` at a temperature."""
    return 1 - abs(
        1 / (1 + mpmath.exp(-(gap + move) / temperature)) - 1 / (1 + mpmath.exp(-gap / temperature))
    )


def _swap_at_temperature(x: Any) -> Mapping[str, Any]:
    """A swap pair in logits divided by T = 2."""
    return {"draft_spread": 2 * x, "temperature": mpf(2), "acceptance_rate": 1 - mpmath.tanh(x / 4)}


J4 = Theorem(
    id="J4",
    name="draft-temperature",
    title="Acceptance of a draft and its best temperature",
    statement="At a common temperature T acceptance is at least 2/(1 + e^(osc(D)/(2T))), so it tends to 1 "
    "as T grows; as T falls it tends to 1 or 0 as the argmaxes agree or not, if neither has a tie. A draft "
    "q_b proportional to e^(b z') has KL(p||q_b) convex in b, least at the only b with E_(q_b) z' = E_p z'.",
    status=Status.SHARP,
    claims=(
        at_least(
            acceptance_rate,
            2 / (1 + sp.exp(draft_spread / (2 * temperature))),
            decreasing=("draft_spread",),
            increasing=("temperature",),
        ),
    ),
    hypotheses=(
        "z' is not constant",
        "p has full support, so E_p z' lies strictly between min z' and max z'",
        "T -> 0: neither model has a tie for its largest logit; with z = (0, 0), z' = (1, 0) it is 1/2",
    ),
    derivation=(
        argument("B1 with R = osc(D)/T."),
        identity(
            "d KL(p||q_b)/db = E_(q_b) z' - E_p z' (three tokens)",
            sp.diff(_draft_kl(), _b),
            _draft_mean(1) - sum(w * z for w, z in zip(_w, _z, strict=True)) / sum(_w),
        ),
        identity(
            "the second derivative is the variance of z' under q_b",
            sp.diff(_draft_kl(), _b, 2),
            _draft_mean(2) - _draft_mean(1) ** 2,
        ),
        computed("the root against a direct search", Method.SIMULATED, _optimal_draft),
    ),
    witnesses=(Witness("a swap pair at T = 2", values=_swap_at_temperature, side="lower"),),
    source="B1; convexity of log-sum-exp",
)

J4x = Theorem(
    id="J4x",
    name="acceptance-monotone",
    title="Folklore: a hotter draft is accepted more often",
    statement="FALSE: acceptance increases with the common temperature. With two tokens of gap g it is "
    "near 1 when T is small, least near T = g/1.5434, and tends to 1 again.",
    status=Status.FALSE,
    counterexample=Counterexample(
        "gap 3, change 1/2: acceptance at T = 0.2 against T = 2",
        lambda: (_accepted(mpf("0.2")), _accepted(mpf(2))),
    ),
    hypotheses=("both models are sampled at the same temperature",),
    source="E5",
)

THEOREMS = (J4, J4x)
