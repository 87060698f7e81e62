"""Family K, estimates: importance sampling and what a few perturbed texts buy (K6, K7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import about, at_least, at_most, between
from theory.instances.trees import Prefixes
from theory.proofs.conclusion import concludes
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.statements.k_scores.scored import Scored, on_scores, positive_part
from theory.statements.parameters import lecam_texts, sample_share, sequence_kl, sequence_tv
from theory.theorems.theorem import Counterexample, Status, Theorem


def _moments(x: Scored) -> Iterator[Relation]:
    b = x.right
    plain = x.mean(lambda w, f: (w * f) ** 2) - b**2
    chi2 = x.mean(lambda w, f: (w - 1) ** 2)
    yield x.mean(lambda w, f: w * f), "=", b
    yield plain, "<=", 1 + chi2 - b**2
    for height in (mpf(1), mpf(2), mpf(4)):
        kept, _ = x.capped(height)
        square = mpmath.fsum(y.p * (min(y.q / y.p, height) * f) ** 2 for y, f in x.texts)
        missed = x.excess(height)
        yield kept, "<=", b
        yield b - kept, "<=", missed
        yield square - kept**2, "<=", height * b
    best = x.mean(lambda w, f: w * (w - 1) * f) / chi2
    yield x.mean(lambda w, f: (w * f - best * (w - 1) - b) ** 2), "<=", plain
    centre = x.mean(lambda w, f: f)
    yield x.mean(lambda w, f: w * (f - centre) + centre), "=", b


def _along_the_text(x: Scored) -> Iterator[Relation]:
    """Unbiased for any table V: V() + sum_t W_(t-1) (sum_v q_t(v) V(v) - V), the last step with rho f."""
    rng, tree = np.random.default_rng(6), x.tree
    table = {node.prefix: mpf(float(rng.random())) for level in tree.levels[:-1] for node in level}
    mass = {node.prefix: node for level in tree.levels for node in level}
    total = mpf(0)
    for leaf, f in x.texts:
        value = table[()]
        for t in range(tree.steps):
            stem = mass[leaf.prefix[:t]]
            _, q = tree.law(stem.prefix)
            if t + 1 < tree.steps:
                ahead = mpmath.fsum(b * table[(*stem.prefix, v)] for v, b in enumerate(q))
                value += stem.q / stem.p * (ahead - table[stem.prefix])
            else:
                value += leaf.q / leaf.p * f - stem.q / stem.p * table[stem.prefix]
        total += leaf.p * value
    yield total, "=", x.right


_x, _s = sp.symbols("x s", positive=True)
_y = sp.Symbol("y", real=True)

_share = about(sample_share, sp.exp(-2 * sequence_kl))
_mean, _spread = -sequence_kl, 2 * sequence_kl
"""Mean and variance of a normal log w with E w = 1."""

K6 = Theorem(
    id="K6",
    name="score-estimates",
    title="Importance sampling of a score: unbiased, and how many texts it needs",
    statement="The mean of w f is unbiased with variance at most 1 + chi^2(Q||P) - b^2, b = E_Q f. A cap M "
    "has bias in [-H_M, 0] and variance at most M b. Along the text V() + sum_t W_(t-1)[E_q V - V] is "
    "unbiased for any table V. The best multiple of the control w - 1 is never worse. If log w is normal, "
    "the effective share of N texts is e^(-2 KL): the feasible length is about one nat in all. Bands need "
    "no rule (K4); an estimate is quoted with ten effective prompts and no text of a tenth of the weight.",
    status=Status.VALID,
    claims=(_share,),
    hypotheses=("texts are sampled from P, and Q << P", "the estimate: log w is normal with mean -KL (G13)"),
    derivation=(
        argument("Var <= E w^2 f^2 - b^2 <= E w^2 - b^2; min(M,w)^2 f^2 <= M w f."),
        on_scores("moments, caps, the control and its best multiple", _moments),
        concludes(
            "The share is 1/E w^2 = e^(-2 mean - 2 variance) for normal log w",
            lambda: _share,
            "estimate",
            sp.exp(-2 * _mean - 2 * _spread),
        ),
        argument("Each term of the sum over t has mean E_Q of a telescoping difference."),
        on_scores("random tables along the text", _along_the_text),
        identity(
            "log w ~ N(-s^2/2, s^2), s^2 = 2 KL: E w^2 = e^(s^2) and ESS/N = 1/E w^2",
            sp.Integral(
                sp.exp(2 * _y - (_y + _s**2 / 2) ** 2 / (2 * _s**2)) / (_s * sp.sqrt(2 * sp.pi)),
                (_y, -sp.oo, sp.oo),
            ),
            sp.exp(_s**2),
        ),
    ),
    source="Ionides 2008; Chatterjee and Diaconis 2018; doubly robust off-policy evaluation",
)


def _centred() -> tuple[Any, Any]:
    """Variance of (w-1)(f-h) against that of (w-1) f: two texts, 99 : 1 under P, even under Q."""
    p, w, f = (mpf("0.99"), mpf("0.01")), (mpf(50) / 99, mpf(50)), (mpf(1), mpf(0))
    mean = mpmath.fsum(a * b for a, b in zip(p, f, strict=True))
    change = mpmath.fsum(a * (b - 1) * c for a, b, c in zip(p, w, f, strict=True))

    def variance(centre: Any) -> Any:
        return mpmath.fsum(
            a * ((b - 1) * (c - centre) - change) ** 2 for a, b, c in zip(p, w, f, strict=True)
        )

    return variance(mean), variance(mpf(0))


K6x = Theorem(
    id="K6x",
    name="centring-helps",
    title="Folklore: centring the score reduces the variance",
    statement="FALSE: (w-1)(f-h), h the prompt's mean score, has a variance at most that of (w-1)f. Both "
    "have mean E_Q f - E_P f, but weights are skew: a wrong text with a large weight counts -(w-1)h.",
    status=Status.FALSE,
    counterexample=Counterexample("two texts, 99 : 1 under P, even under Q, the likely one right", _centred),
    hypotheses=("texts are sampled from P",),
    source="K6",
)


def _pair(x: Scored) -> Iterator[Relation]:
    """The balance heuristic and the Le Cam pair; M = (P + Q)/2."""
    rows: list[tuple[Prefixes, Any]] = x.texts
    for share in (mpf("0.05"), mpf("0.5"), mpf("0.8")):
        mixed = [((1 - share) * y.p + share * y.q, y.q, f) for y, f in rows]
        yield mpmath.fsum(m * (q / m) * f for m, q, f in mixed), "=", x.right
        yield max(q / m for m, q, _ in mixed), "<=", 1 / share
    mixed = [((y.p + y.q) / 2, mpmath.tanh(mpmath.log(y.q / y.p) / 2), f) for y, f in rows]
    values = [(m, 2 * t * (f - mpf(1) / 2)) for m, t, f in mixed]
    lecam = mpmath.fsum(m * t**2 for m, t, _ in mixed)
    yield mpmath.fsum(m * v for m, v in values), "=", x.change
    yield max(abs(v) for _, v in values), "<=", mpf(1)
    yield mpmath.fsum(m * v**2 for m, v in values) - x.change**2, "<=", lecam
    yield x.tv**2, "<=", lecam
    yield lecam, "<=", x.tv


def _continued(x: Scored) -> Iterator[Relation]:
    """The perturbed model writes only after a divergence."""
    future, tree = x.continued(), x.tree
    total = mpmath.fsum(y.agree * f for y, f in x.texts)
    paid = mpf(0)
    for level in tree.levels[:-1]:
        for node in level:
            for v, (a, b) in enumerate(zip(*tree.law(node.prefix), strict=True)):
                excess = node.agree * positive_part(b - a)
                total += excess * future[(*node.prefix, v)]
                paid += excess
    yield total, "=", x.right
    yield paid, "=", 1 - tree["survival"]


_P, _Q, _f = sp.symbols("P Q f", positive=True)

K7 = Theorem(
    id="K7",
    name="few-perturbed-texts",
    title="A few perturbed texts: balance, the Le Cam pair, continuation after a divergence",
    statement="(i) A share pi of perturbed texts bounds the weights Q/mix by 1/pi. (ii) From texts of both, "
    "each read by both: E_Q f - E_P f = E_M 2 tanh(L/2)(f - 1/2), M = (P+Q)/2, L = log Q/P; values in "
    "[-1,1], variance at most LC(P,Q) = E_M tanh^2(L/2), between TV^2 and TV. (iii) E_Q f = E_P W_n f + E_P "
    "sum_t W_(t-1) TV_t E[f | x_t ~ (q_t-p_t)_+/TV_t, rest ~ Q]: the perturbed model writes only after a "
    "divergence, for a share 1 - S_n of the texts.",
    status=Status.VALID,
    claims=(between(at_least(lecam_texts, sequence_tv**2), at_most(lecam_texts, sequence_tv)),),
    hypotheses=("(ii) as many texts of P as of Q",),
    derivation=(
        identity(
            "tanh(L/2) = (Q-P)/(Q+P)", sp.tanh(sp.log(_Q / _P) / 2).rewrite(sp.exp), (_Q - _P) / (_Q + _P)
        ),
        identity(
            "one text of M = (P+Q)/2 contributes (Q-P)(f-1/2); the halves cancel in the sum",
            (_P + _Q) / 2 * 2 * ((_Q - _P) / (_Q + _P)) * (_f - sp.Rational(1, 2)),
            (_Q - _P) * _f - (_Q - _P) / 2,
        ),
        argument("(2f-1)^2 <= 1; Cauchy-Schwarz below and |tanh| <= 1 above for LC."),
        on_scores("balance heuristic; mean, range and variance of the pair; LC between TV^2 and TV", _pair),
        argument(
            "(iii) The stepwise maximal coupling of G2 writes y ~ Q: kept tokens, then (q-p)_+/TV, then q."
        ),
        on_scores("divergence continuation, and the share of texts that it continues", _continued),
    ),
    source="Veach and Guibas 1995; Le Cam 1986; Leviathan et al. 2023 (drafting); (ii), (iii) new",
)

THEOREMS = (K6, K6x, K7)
