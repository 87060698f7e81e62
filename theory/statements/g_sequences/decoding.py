"""Family G, uses: speculative decoding, exact match, greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
import torch
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, equal
from theory.formulas.symbols import oscillation
from theory.instances.instance import DIGITS, Instance
from theory.instances.trees import Tree, independent, swap_law, swap_tree
from theory.proofs.enumerated import enumerated, on_trees
from theory.proofs.sampled import sampled
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.proofs.symbolic import expansion, identity
from theory.statements.parameters import (
    acceptance_rate,
    block,
    exact_match,
    exact_match_change,
    sequence_tv,
    steps,
    survival,
    token_probability,
    tokens_per_call,
)
from theory.theorems.theorem import Status, Theorem, Witness

R = oscillation
_a = acceptance_rate


def _acceptance_rule(x: Instance) -> list[tuple[Any, str, Any]]:
    """Draw from q, accept with min(1, p/q), else draw from (p - q)_+: accepted mass, law that comes out."""
    accepted = [b * min(mpf(1), a / b) for a, b in zip(x.p, x.q, strict=True)]
    rejected = 1 - mpmath.fsum(accepted)
    spare = [max(a - b, mpf(0)) for a, b in zip(x.p, x.q, strict=True)]
    least = 2 / (1 + mpmath.exp(x.column("oscillation") / 2))
    relations = [(1 - rejected, "=", 1 - x.column("tv")), (least, "<=", 1 - rejected)]
    if rejected > 0:
        total = mpmath.fsum(spare)
        pairs = zip(accepted, spare, x.p, strict=True)
        relations += [(a + rejected * s / total, "=", p) for a, s, p in pairs]
    return relations


def _swap_acceptance(x: Any) -> dict[str, Any]:
    return {
        "oscillation": x,
        "acceptance_rate": mpmath.fsum(
            min(pair) for pair in zip(swap_law(x), swap_law(x)[::-1], strict=True)
        ),
    }


def _blocks(x: Any) -> dict[str, Any]:
    """Expected length of a block of 5 drafts with acceptance rate x, from the law of the first rejection."""
    ends = [x**k * (1 - x) for k in range(5)] + [x**5]
    mean = mpmath.fsum((k + 1) * mass for k, mass in enumerate(ends))
    return {"acceptance_rate": x, "block": mpf(5), "tokens_per_call": mean}


G6 = Theorem(
    id="G6",
    name="speculative-acceptance",
    title="Speculative decoding with the pruned model as draft",
    statement="A token drafted from q and accepted with probability min(1, p/q) is kept with probability "
    "sum min(p,q) = 1 - TV >= 2/(1+e^(R/2)), and the kept text has the law of p. A block of g drafts "
    "yields sum_(k<=g) S_k tokens per call, (1 - a^(g+1))/(1 - a) if every step accepts at rate a.",
    status=Status.SHARP,
    claims=(
        at_least(acceptance_rate, 2 / (1 + sp.exp(R / 2)), decreasing=("oscillation",)),
        equal(tokens_per_call, (1 - _a ** (block + 1)) / (1 - _a)),
    ),
    derivation=(
        sampled(
            "accepted mass is 1 - TV >= 2/(1+e^(R/2)), and acceptance with resampling returns p",
            _acceptance_rule,
        ),
        identity("1 - tanh(R/4) = 2/(1+e^(R/2)) (B1)", 1 - sp.tanh(R / 4), 2 / (1 + sp.exp(R / 2))),
        argument(
            "The first k drafts are all kept with probability S_k, as in G2; each call adds one token of p."
        ),
        identity("the geometric sum, at block 4", sum(_a**k for k in range(5)), (1 - _a**5) / (1 - _a)),
    ),
    witnesses=(
        Witness("the swap pair", values=_swap_acceptance, side="lower"),
        Witness("blocks of 5", values=_blocks, claim=1, parameters=("0.01", "0.5", "0.9", "0.999")),
    ),
    limit=expansion("1 - R/4 to leading order", 2 / (1 + sp.exp(R / 2)), R, 1 - R / 4),
    source="Leviathan, Kalman, Matias 2023",
)


def _token_band(x: Instance) -> list[tuple[Any, str, Any]]:
    relations: list[tuple[Any, str, Any]] = []
    grow = mpmath.exp(x.column("oscillation"))
    for p, q in zip(x.p, x.q, strict=True):
        relations += [(p / (p + (1 - p) * grow), "<=", q), (q, "<=", p / (p + (1 - p) / grow))]
    return relations


def _metrics(tree: Tree) -> Iterator[Relation]:
    """Changes of random and of the most sensitive metric in [0,1] on the set of texts."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        score = [mpf(float(u)) for u in rng.random(len(tree.leaves))]
        change = mpmath.fsum(f * (x.p - x.q) for f, x in zip(score, tree.leaves, strict=True))
        yield abs(change), "<=", tree["sequence_tv"]
    most = mpmath.fsum(x.p - x.q for x in tree.leaves if x.p > x.q)
    yield most, "=", tree["sequence_tv"]


def _confident_answer(x: Any) -> Tree:
    """Four independent steps: the answer's token has probability 0.9, every other token gains R."""
    q = mpf("0.9") / (mpf("0.9") + mpf("0.1") * mpmath.exp(x))
    return independent(4, [mpf("0.9"), mpf("0.1")], [q, 1 - q])


_match = at_least(
    exact_match,
    (token_probability / (token_probability + (1 - token_probability) * sp.exp(R))) ** steps,
    increasing=("token_probability",),
    decreasing=("oscillation", "steps"),
)
_ceiling = at_most(exact_match_change, sequence_tv)
_run_ceiling = at_most(exact_match_change, 1 - survival)
_py = sp.Symbol("p_y", positive=True)

G9 = Theorem(
    id="G9",
    name="metric-ceiling",
    title="Exact match decays geometrically; a ceiling for every metric in [0,1]",
    statement="Each token of an answer keeps sigma(logit p - R) <= q <= sigma(logit p + R), so Q(y) >= "
    "prod_t p_t/(p_t + (1-p_t) e^(R_t)): geometric in the length of the answer, a single factor for a "
    "multiple-choice letter. Every score f in [0,1] of the text changes by at most TV(P_n,Q_n) <= 1 - "
    "S_n, and some score changes by that much.",
    status=Status.SHARP,
    claims=(_match, _ceiling, _run_ceiling),
    hypotheses=(
        "R is the supremum of the oscillation over steps and prefixes",
        "decoding samples from the model",
    ),
    derivation=(
        argument("B1 for the event {y_t}: the log-odds of the right token move by at most R."),
        identity(
            "sigma(logit p - R) = p/(p + (1-p) e^R)",
            1 / (1 + (1 - _py) / _py * sp.exp(R)),
            _py / (_py + (1 - _py) * sp.exp(R)),
        ),
        sampled("both ends of the band, for every token", _token_band),
        enumerated("|E_P f - E_Q f| <= TV(P,Q), with equality at f = 1{P > Q}", _metrics),
        on_trees("exact match of the answer 0, 0, 0, ..", _match, _ceiling, _run_ceiling),
    ),
    witnesses=(
        Witness(
            "independent two-atom steps, the wrong token gains R", values=_confident_answer, side="lower"
        ),
        Witness("one swap pair, answer 0", values=swap_tree(1), claim=1),
        Witness("one swap pair, answer 0", values=swap_tree(1), claim=2),
    ),
    source="B1; dual form of total variation",
)


def _greedy_models(rng: np.random.Generator, scale: int) -> Any:
    """Random integer logits for every prefix, so that comparisons and ties are exact."""
    memory: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}

    def logits(prefix: tuple[int, ...]) -> tuple[list[int], list[int]]:
        if prefix not in memory:
            dense = [int(v) for v in rng.integers(0, 12, 4)]
            memory[prefix] = (
                dense,
                [z + int(d) for z, d in zip(dense, rng.integers(0, scale, 4), strict=True)],
            )
        return memory[prefix]

    return logits


def _first_divergence() -> str:
    """Free-running greedy runs of both models against one teacher-forced pass, on 400 random pairs."""
    rng = np.random.default_rng(23)
    diverged, certified = 0, 0
    for case in range(400):
        logits, length = _greedy_models(rng, 2 + case % 5), 6
        x: tuple[int, ...] = ()
        y: tuple[int, ...] = ()
        forced = free = sure = length
        for t in range(length):
            dense, other = logits(x)
            i, j = dense.index(max(dense)), logits(y)[1].index(max(logits(y)[1]))
            if other.index(max(other)) != i:
                forced = min(forced, t)
            if i != j:
                free = min(free, t)
            first, second = sorted(dense, reverse=True)[:2]
            change = [b - a for a, b in zip(dense, other, strict=True)]
            if first - second <= max(change) - min(change):
                sure = min(sure, t)
            x, y = (*x, i), (*y, j)
        if forced != free or sure > free:
            raise StepFailedError(f"teacher-forced {forced}, free {free}, certified {sure}")
        diverged, certified = diverged + (free < length), certified + sure
    return f"400 pairs of models, {diverged} diverge, {certified} of 2400 tokens certified by margin > R"


def _pairwise(x: Instance) -> list[tuple[Any, str, Any]]:
    top = x.z.index(max(x.z))
    rivals = [k for k in range(len(x.z)) if k != top]
    with mpmath.workdps(4 * DIGITS):  # sums and differences are exact, so ties are
        stays = all(x.z[top] + x.delta[top] > x.z[k] + x.delta[k] for k in rivals)
        test = all(x.z[top] - x.z[k] > x.delta[k] - x.delta[top] for k in rivals)
    sure = x.column("margin") > x.column("oscillation")
    return [(mpf(int(stays)), "=", mpf(int(test))), (mpf(int(sure)), "<=", mpf(int(stays)))]


def _tie_at_the_margin() -> str:
    """z = (R, 0), D = (0, R) ties at margin = R; with D larger by 1 than the margin the token flips."""
    for margin in (1, 5, 100):
        kept = [margin - push > 0 for push in (margin - 1, margin, margin + 1)]
        if kept != [True, False, False]:
            raise StepFailedError(f"margin {margin}: kept {kept} for R below, at and above the margin")
        tied = torch.tensor([float(margin), float(margin)], dtype=torch.float64)
        if int(tied.argmax()) != 0:
            raise StepFailedError("argmax takes the first of two largest logits")
    return "z = (m, 0), D = (0, R): kept for R < m, tied (here kept) at R = m, flipped for R > m"


G10 = Theorem(
    id="G10",
    name="greedy-first-divergence",
    title="Greedy decoding: the first divergence is read off one teacher-forced pass",
    statement="Until the first mismatch both models read the dense greedy prefix, so the first divergence "
    "of two greedy runs is the first argmax mismatch on the dense trajectory: exact, no bound. Unless the "
    "perturbed logits tie for the largest, a token stays iff z_i - z_j > D_j - D_i for all j; after a tie "
    "the rule for ties decides. It is certain to stay if margin > R, equivalently p_1/p_2 > e^R, and no "
    "smaller multiple of R suffices.",
    status=Status.EXACT,
    derivation=(
        argument("Induction on the step: equal prefixes give both models the inputs of the dense run."),
        computed(
            "teacher-forced mismatch = free-running divergence >= certified prefix",
            Method.SIMULATED,
            _first_divergence,
        ),
        sampled("the pairwise test is exact, and margin > R implies it", _pairwise),
        computed("margin = R does not certify", Method.ENUMERATED, _tie_at_the_margin),
    ),
    hypotheses=(
        "greedy decoding; ties break the same way in both models",
        "the pairwise test: no tie for the largest perturbed logit",
    ),
    source="definition of greedy decoding",
)

THEOREMS = (G6, G9, G10)
