"""Family K, certainty: scores that one pass over known answers decides, sampled (K1) and greedy (K9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from theory.formulas.claims import at_least, at_most, between
from theory.instances.instance import DIGITS
from theory.instances.trees import Prefix, Tree, swap_tree, tilted
from theory.proofs.enumerated import enumerated
from theory.proofs.relations import related
from theory.proofs.step import Method, Relation, StepFailedError, argument, computed
from theory.statements.k_scores.scored import Scored, on_scores
from theory.statements.parameters import (
    dead_mass,
    greedy_score,
    kept_share,
    perturbed_score,
    right_and_kept,
    won_mass,
)
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness


def _antichain(tree: Tree, rng: np.random.Generator) -> dict[Prefix, tuple[Any, Any]]:
    """Random prefixes, none a prefix of another, with the ends of the scores of the texts through them."""
    chosen: dict[Prefix, tuple[Any, Any]] = {}
    for length, level in enumerate(tree.levels[1:], 1):
        for node in level:
            blocked = any(node.prefix[:k] in chosen for k in range(1, length))
            if not blocked and rng.random() < 0.3 * length / tree.steps:
                low, high = sorted(rng.random(2)) if rng.random() < 0.3 else (rng.integers(2),) * 2
                chosen[node.prefix] = mpf(float(low)), mpf(float(high))
    return chosen


def _ends(x: Scored) -> Iterator[Relation]:
    """The interval of random antichains, for scores at random inside the ends and for the extreme scores."""
    rng, tree = np.random.default_rng(len(x.tree.leaves)), x.tree
    for _ in range(4):
        chosen = _antichain(tree, rng)
        mass = {node.prefix: node.q for level in tree.levels for node in level}
        low = mpmath.fsum(mass[s] * a for s, (a, _) in chosen.items())
        dead = mpmath.fsum(mass[s] * (1 - b) for s, (_, b) in chosen.items())
        sums = {"low": mpf(0), "drawn": mpf(0), "high": mpf(0), "outside": mpf(0)}
        for leaf, drawn in zip(tree.leaves, x.scores, strict=True):
            passed = next(
                (leaf.prefix[:k] for k in range(1, tree.steps + 1) if leaf.prefix[:k] in chosen), None
            )
            a, b = (mpf(0), mpf(1)) if passed is None else chosen[passed]
            sums["low"] += leaf.q * a
            sums["drawn"] += leaf.q * (a + drawn * (b - a))
            sums["high"] += leaf.q * b
            sums["outside"] += leaf.q * (passed is None)
        yield low, "=", sums["low"]
        yield 1 - dead, "=", sums["high"]
        yield low, "<=", sums["drawn"]
        yield sums["drawn"], "<=", 1 - dead
        spread = mpmath.fsum(mass[s] * (b - a) for s, (a, b) in chosen.items())
        yield 1 - dead - low, "=", sums["outside"] + spread


_TOKENS, _ANSWER, _STOP = ("a", "b", "ab", "ba", "."), "aba", "."


def _status(text: str) -> str:
    """Won, dead or alive: whether the text up to the stop is the answer, cannot become it, or may."""
    if _STOP in text:
        return "won" if text[: text.index(_STOP)] == _ANSWER else "dead"
    return "alive" if _ANSWER.startswith(text) else "dead"


@cache
def _spelling_models() -> tuple[Tree, ...]:
    """Pairs over tokens that spell the answer in several ways."""
    rng, models = np.random.default_rng(71), []
    with mpmath.workdps(DIGITS):
        for _ in range(3):
            laws = {}
            for length in range(4):
                for prefix in np.ndindex(*(len(_TOKENS),) * length):
                    raw = [mpf(float(u)) + mpf(10) ** -9 for u in rng.dirichlet(np.full(len(_TOKENS), 0.5))]
                    p = [u / mpmath.fsum(raw) for u in raw]
                    laws[prefix] = p, tilted(p, [mpf(float(u)) for u in rng.normal(size=len(_TOKENS))])
            models.append(Tree(4, laws.__getitem__))
    return tuple(models)


def _spelled(prefix: Prefix) -> str:
    return "".join(_TOKENS[v] for v in prefix)


def _answer_row() -> Iterator[Relation]:
    """One teacher-forced row "ab", "a", ".": its winning departures count, its alive ones are unresolved."""
    for tree in _spelling_models():
        truth = mpmath.fsum(x.q for x in tree.leaves if _status(_spelled(x.prefix)) == "won")
        won = unresolved = canonical = mpf(0)
        mass = mpf(1)
        prefix: Prefix = ()
        for token in (2, 0, 4):
            _, q = tree.law(prefix)
            for v, b in enumerate(q):
                status = _status(_spelled((*prefix, v)))
                won += mass * b * (status == "won")
                unresolved += mass * b * (status == "alive" and v != token)
            mass, prefix = mass * q[token], (*prefix, token)
        canonical = mass
        yield canonical, "<=", won
        yield won, "<=", truth
        yield truth, "<=", won + unresolved


def _greedy(tree: Tree, prefix: Prefix = ()) -> Prefix:
    """The perturbed model's greedy text from a prefix on."""
    while len(prefix) < tree.steps:
        _, q = tree.law(prefix)
        prefix = (*prefix, max(range(len(q)), key=lambda v: q[v]))
    return prefix


def _greedy_is_decided() -> str:
    """Along the answer's row greedy is decided unless its first departure is alive."""
    decided = 0
    for tree in _spelling_models():
        text = _greedy(tree)
        truth = next(s for s in map(_status, map(_spelled, (text[:k] for k in range(1, 5)))) if s != "alive")
        prefix: Prefix = ()
        for token in (2, 0, 4):
            top = _greedy(tree, prefix)[len(prefix)]
            status = _status(_spelled((*prefix, top)))
            if status != "alive":
                decided += 1
                if status != truth:
                    raise StepFailedError(f"greedy is {truth}, the row says {status}")
            if status != "alive" or top != token:
                break
            prefix = (*prefix, token)
    return f"{decided} of {len(_spelling_models())} greedy answers decided by one row, none wrongly"


def _resolved_pair(score: int) -> Any:
    """Swap pairs, 3 tokens: texts from 0, 0 on are right, from 1 on wrong, the rest scores ``score``."""

    def values(x: Any) -> Mapping[str, Any]:
        with mpmath.workdps(2 * DIGITS):
            tree = swap_tree(3)(x)
            won = mpmath.fsum(y.q for y in tree.leaves if y.prefix[:2] == (0, 0))
            dead = mpmath.fsum(y.q for y in tree.leaves if y.prefix[0] == 1)
            rest = mpmath.fsum(y.q for y in tree.leaves if y.prefix[:2] == (0, 1))
            return {"won_mass": won, "dead_mass": dead, "perturbed_score": won + score * rest}

    return values


_certain = between(at_least(perturbed_score, won_mass), at_most(perturbed_score, 1 - dead_mass))

K1 = Theorem(
    id="K1",
    name="resolved-mass",
    title="The score, up to the mass of what was not looked at",
    statement="Let T be finitely many prefixes, none a prefix of another, such that every text through s "
    "has a score in [lo_s, hi_s] (won: 1, 1; dead: 0, 0). Then sum Q(s) lo_s <= E_Q f <= 1 - sum Q(s)(1 - "
    "hi_s), without statistics inside a prompt; the width is Q(outside T) + sum Q(s)(hi_s - lo_s). T may be "
    "chosen by looking at either model. One teacher-forced pass along a row knows Q of every prefix of the "
    "row followed by any one token; greedy decoding is decided as soon as it reaches a won or dead token.",
    status=Status.SHARP,
    claims=(_certain,),
    hypotheses=(
        "Q is an autoregressive law: any decoding but beam search",
        "the score is a function of the text",
    ),
    derivation=(
        argument("The events 'the text passes through s' are disjoint: Q(won) <= E_Q f, the same for 1 - f."),
        on_scores("random antichains, random scores inside the ends, and the extreme scores", _ends),
        related(
            "exact match over tokens a, b, ab, ba, '.': won and alive mass of one row, the answer in several "
            "tokenisations",
            _answer_row,
            Method.ENUMERATED,
        ),
        computed("greedy along the same row", Method.ENUMERATED, _greedy_is_decided),
    ),
    witnesses=(
        Witness("what is outside T scores 0", values=_resolved_pair(0), side="lower"),
        Witness("what is outside T scores 1", values=_resolved_pair(1)),
    ),
    source="inclusion of events",
)


def _tokenisations() -> tuple[Any, Any]:
    """Exact match against the canonical row 'ab', 'a', '.'."""
    tree = _spelling_models()[0]
    truth = mpmath.fsum(x.q for x in tree.leaves if _status(_spelled(x.prefix)) == "won")
    canonical = mpf(1)
    prefix: Prefix = ()
    for token in (2, 0, 4):
        canonical, prefix = canonical * tree.law(prefix)[1][token], (*prefix, token)
    return truth, canonical


K1x = Theorem(
    id="K1x",
    name="canonical-tokenisation",
    title="Folklore: the right answer's token probability is that of an exact match",
    statement="FALSE: the probability of the tokenised right answer is the probability of an exact match. "
    "It is a lower bound; other tokenisations and other stops count as well.",
    status=Status.FALSE,
    counterexample=Counterexample("'aba.' over the tokens a, b, ab, ba, '.'", _tokenisations),
    hypotheses=("the answer is judged as a string",),
    source="K1",
)


def _forced(tree: Tree) -> Iterator[Relation]:
    """Q(s) > 1/2 forces greedy through s; greedy writes r with certainty at least 2Q(r) - 1."""
    text = _greedy(tree)
    for level in tree.levels[1:]:
        for node in level:
            passes = mpf(int(text[: len(node.prefix)] == node.prefix))
            yield mpf(int(2 * node.q > 1)), "<=", passes
    for leaf in tree.leaves:
        yield 2 * leaf.q - 1, "<=", mpf(int(text == leaf.prefix))


def _located() -> Iterator[Relation]:
    rng = np.random.default_rng(9)
    for share in (0.2, 0.6, 0.95):
        kept, right, other = rng.random(400) < share, rng.random(400) < 0.7, rng.random(400) < 0.5
        pruned = np.where(kept, right, other)
        low = mpf(int((right & kept).sum())) / 400
        yield low, "<=", mpf(int(pruned.sum())) / 400
        yield mpf(int(pruned.sum())) / 400, "<=", low + mpf(int((~kept).sum())) / 400
        lost = mpf(int(right.sum()) - int(pruned.sum())) / 400
        yield lost, "<=", mpf(int((right & ~kept).sum())) / 400


def _departed(score: int) -> Any:
    """A share 1 - kappa = tanh(R/4) of the prompts departs, all right or all wrong afterwards."""

    def values(x: Any) -> Mapping[str, Any]:
        gone = mpmath.tanh(x / 4)
        right = (1 - gone) / 2
        return {"kept_share": 1 - gone, "right_and_kept": right, "greedy_score": right + score * gone}

    return values


def _small_majority() -> str:
    """No converse: two tokens, each taken with probability just over one half, n times."""
    with mpmath.workdps(DIGITS):
        least = mpf(1) / 2 + mpf(10) ** -9
        tree = Tree(8, lambda prefix: ([least, 1 - least], [least, 1 - least]))
        text = _greedy(tree)
        found = next(x.q for x in tree.leaves if x.prefix == text)
    if found > mpf("0.004"):
        raise StepFailedError(f"greedy text has probability {found}")
    return f"a greedy text of 8 tokens has probability {mpmath.nstr(found, 3)}"


K9 = Theorem(
    id="K9",
    name="greedy-scores",
    title="Greedy scores: only right answers that depart can be lost",
    statement="If the greedy text is kept up to its deciding token on a share kappa of the prompts, the "
    "pruned greedy score lies between the share that is right and kept and that plus 1 - kappa: the loss is "
    "at most the share of prompts that were right and depart. Q(s) > 1/2 forces greedy decoding through s, "
    "so it writes r with indicator at least 2 Q(r) - 1; a dead prefix of mass above 1/2 makes it wrong. "
    "There is no converse.",
    status=Status.SHARP,
    claims=(
        between(
            at_least(greedy_score, right_and_kept), at_most(greedy_score, right_and_kept + 1 - kept_share)
        ),
    ),
    hypotheses=("greedy decoding without ties", "r is one tokenised text with its stop, not a string"),
    derivation=(
        argument("A prompt that is kept keeps its score; the others score between 0 and 1."),
        related("the interval and the loss on random prompts", _located),
        argument("q_t(s_t) >= Q(s) > 1/2, so each token of s is the argmax."),
        enumerated("every prefix of every pair", _forced),
        computed("a greedy text may be improbable", Method.ENUMERATED, _small_majority),
    ),
    witnesses=(
        Witness("all that depart are wrong", values=_departed(0), side="lower"),
        Witness("all that depart are right", values=_departed(1)),
    ),
    source="G10",
)

THEOREMS = (K1, K1x, K9)
