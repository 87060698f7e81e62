"""Family K, weights: the change of a score from dense texts alone (K2, K3, K5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from theory.formulas.claims import about, at_least, at_most, between
from theory.instances.trees import swap_law
from theory.proofs.relations import related
from theory.proofs.step import Relation, argument
from theory.proofs.symbolic import identity
from theory.statements.k_scores.scored import Scored, on_scores, positive_part
from theory.statements.parameters import (
    cap,
    excess_mass,
    kept_right,
    kept_wrong,
    perturbed_score,
    sequence_kl,
)
from theory.theorems.theorem import Status, Theorem, Witness

CAPS = tuple(map(mpf, ("0.25", "0.5", "1", "2", "4", "16", "1e30")))


def _overlap(x: Scored) -> Iterator[Relation]:
    low, wrong = x.capped(mpf(1))
    high = 1 - wrong
    lost_right = x.mean(lambda w, f: positive_part(1 - w) * f)
    lost_wrong = x.mean(lambda w, f: positive_part(1 - w) * (1 - f))
    yield low, "<=", x.right
    yield x.right, "<=", high
    yield high - low, "=", x.tv
    yield lost_right + lost_wrong, "=", x.tv
    yield -lost_right, "<=", x.change
    yield x.change, "<=", lost_wrong
    yield -x.change, "<=", x.mean(lambda w, f: f)
    yield mpmath.fsum(y.agree * f for y, f in x.texts), "<=", low


def _rare_excess(last: int) -> Any:
    """A swap pair whose lost mass goes to one text of probability 1e-12 that scores ``last``."""

    def values(x: Any) -> Mapping[str, Any]:
        rare = mpf(10) ** -12
        p = [a * (1 - rare) for a in swap_law(x)]
        kept = [min(a, b) for a, b in zip(p, swap_law(x)[::-1], strict=True)]
        f = [mpf(0), mpf(1)]
        excess = 1 - mpmath.fsum(kept)
        seen = min(excess, rare)  # min(P, Q) at the rare text
        right = mpmath.fsum(a * b for a, b in zip(kept, f, strict=True))
        wrong = mpmath.fsum(kept) - right
        return {
            "perturbed_score": right + last * excess,
            "kept_right": right + last * seen,
            "kept_wrong": wrong + (1 - last) * seen,
        }

    return values


_interval = between(at_least(perturbed_score, kept_right), at_most(perturbed_score, 1 - kept_wrong))

K2 = Theorem(
    id="K2",
    name="score-overlap",
    title="Lost right mass and lost wrong mass",
    statement="With w = Q/P of a dense text and f in [0,1] its score, E_P min(1,w) f <= E_Q f <= 1 - E_P "
    "min(1,w)(1-f) and -E_P (1-w)_+ f <= E_Q f - E_P f <= E_P (1-w)_+ (1-f). Both intervals have width TV: "
    "total variation splits into right mass that is lost and wrong mass that is lost, and only the first "
    "can lower the score. Nothing that sees only (min(1,w), f) can do better.",
    status=Status.SHARP,
    claims=(_interval,),
    hypotheses=("texts are sampled from P; nothing is asked of the supports",),
    derivation=(
        argument("E_Q f = sum f min(P,Q) + sum f (Q-P)_+, and the last sum lies in [0, TV]."),
        argument("Subtract E_P f = sum f min(P,Q) + sum f (P-Q)_+."),
        on_scores("both intervals, their width, and the weaker bound with prod min(1, rho_t)", _overlap),
        argument(
            "Let (Q-P)_+ sit on one text of P-probability eps that scores 1, or 0: m dense texts miss it "
            "with probability (1-eps)^m."
        ),
    ),
    witnesses=(
        Witness("all lost mass goes to a rare wrong text", values=_rare_excess(0), side="lower"),
        Witness("all lost mass goes to a rare right text", values=_rare_excess(1)),
    ),
    source="maximal coupling",
)


def _ladder(x: Scored) -> Iterator[Relation]:
    widths = []
    for height in CAPS:
        low, wrong = x.capped(height)
        high, width = 1 - wrong, x.excess(height)
        yield low, "<=", x.right
        yield x.right, "<=", high
        yield high - low, "=", width
        widths.append(width)
        for order in (mpf(3) / 2, mpf(2), mpf(3)):
            power = mpmath.fsum(y.p * (y.q / y.p) ** order for y, _ in x.texts)
            yield width, "<=", height ** (1 - order) * power
    yield widths[2], "=", x.tv
    for k in range(len(CAPS) - 1):
        yield widths[k + 1], "<=", widths[k]
    for k in range(1, len(CAPS) - 1):
        share = (CAPS[k] - CAPS[k - 1]) / (CAPS[k + 1] - CAPS[k - 1])
        yield widths[k], "<=", (1 - share) * widths[k - 1] + share * widths[k + 1]


def _averaged(x: Scored) -> Iterator[Relation]:
    """The last token averaged over the vocabulary; two texts of one prompt averaged before the cap."""
    for height in CAPS[1:4]:
        stems = []
        for stem in x.tree.levels[-2]:
            p, q = x.tree.law(stem.prefix)
            weight = stem.q / stem.p
            value = mpmath.fsum(positive_part(weight * b - height * a) for a, b in zip(p, q, strict=True))
            stems.append((stem.p, value))
        yield mpmath.fsum(a * v for a, v in stems), "=", x.excess(height)
        yield mpmath.fsum(a * v**2 for a, v in stems), "<=", x.excess(height, 2)
    few = x.texts[:9]
    for one, f in few:
        for two, g in few:
            first, second = one.q / one.p * f, two.q / two.p * g
            capped = (min(one.q / one.p, mpf(1)) * f + min(two.q / two.p, mpf(1)) * g) / 2
            yield capped, "<=", min(mpf(1), (first + second) / 2)


_s, _M = sp.symbols("s M", positive=True)


def _normal(x: Any) -> Any:
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


def _call(height: Any, s: Any) -> Any:
    """Hockey stick of log w ~ N(-s^2/2, s^2): a call option on w with strike ``height``."""
    return _normal(s / 2 - sp.log(height) / s) - height * _normal(-s / 2 - sp.log(height) / s)


_lognormal = about(excess_mass, _call(cap, sp.sqrt(2 * sequence_kl)))


def _by_quadrature() -> Iterator[Relation]:
    for kl in ("0.1", "0.5", "1", "2", "4"):
        s = mpmath.sqrt(2 * mpf(kl))
        for height in (1, 2, 4, 16):
            start = (mpmath.log(height) + s**2 / 2) / s

            def density(x: Any, s: Any = s, height: int = height) -> Any:
                return (mpmath.exp(s * x - s**2 / 2) - height) * mpmath.npdf(x)

            found = mpmath.quad(density, mpmath.linspace(start, start + 40, 11))
            formula = _lognormal.estimate
            assert formula is not None
            yield found, "=", formula.exact(cap=mpf(height), sequence_kl=mpf(kl))


K3 = Theorem(
    id="K3",
    name="weight-ladder",
    title="A ladder of caps on the weights",
    statement="For every cap M >= 0, E_P min(M,w) f <= E_Q f <= 1 - E_P min(M,w)(1-f), of width H_M = sum "
    "(Q-MP)_+: H_0 = 1, H_1 = TV, convex and decreasing to Q(P=0), at most M^(1-a) e^((a-1) D_a(Q||P)). If "
    "log w is normal, H_M is the price of a call on w with strike M. Texts of one prompt are averaged first "
    "and capped then.",
    status=Status.VALID,
    claims=(_lognormal,),
    hypotheses=("texts are sampled from P", "the estimate: log w is normal with mean -KL (G13)"),
    derivation=(
        argument(
            "min(Q, MP) <= Q; the same for 1-f; H_M = E_P (w-M)_+ where Q << P; (w-M)_+ <= w^a M^(1-a)."
        ),
        on_scores("intervals, widths, convexity and the Renyi tail for seven caps", _ladder),
        on_scores("the last token averaged: same mean, smaller square; average, then cap", _averaged),
        identity(
            "the call's slope in its strike is minus the chance that w exceeds it",
            sp.diff(_call(_M, _s), _M),
            -_normal(-_s / 2 - sp.log(_M) / _s),
        ),
        identity(
            "at M = 1 it is TV = erf(s/(2 sqrt 2))", _call(sp.Integer(1), _s), sp.erf(_s / (2 * sp.sqrt(2)))
        ),
        related("the closed form against quadrature", _by_quadrature, tolerance=mpf(10) ** -15),
    ),
    source="Black and Scholes 1973; hockey-stick divergence",
)


def _settled(x: Scored) -> Iterator[Relation]:
    """Stop after the first token 0, at the latest one token before the end; then scores are settled."""
    tree, last = x.tree, x.tree.steps - 1
    if last < 1:
        return

    def stop(prefix: tuple[int, ...]) -> int:
        return min(prefix.index(0) + 1 if 0 in prefix else last, last)

    table = {node.prefix: node for level in tree.levels for node in level}
    stems = {leaf.prefix: table[leaf.prefix[: stop(leaf.prefix)]] for leaf in tree.leaves}
    score = {stem.prefix: mpf((7 * sum(stem.prefix) + len(stem.prefix)) % 3) / 2 for stem in stems.values()}
    rows = []
    for leaf in tree.leaves:
        stem = stems[leaf.prefix]
        rows.append((leaf.p, leaf.q / leaf.p, stem.q / stem.p, score[stem.prefix]))
    right = mpmath.fsum(p * w * f for p, w, _, f in rows)
    yield mpmath.fsum(p * early * f for p, _, early, f in rows), "=", right
    for height in CAPS[1:5]:
        yield (
            mpmath.fsum(p * positive_part(early - height) for p, _, early, _ in rows),
            "<=",
            mpmath.fsum(p * positive_part(w - height) for p, w, _, _ in rows),
        )
    yield (
        mpmath.fsum(p * early**2 for p, _, early, _ in rows),
        "<=",
        mpmath.fsum(p * w**2 for p, w, _, _ in rows),
    )
    yield (
        mpmath.fsum(-p * mpmath.log(early) for p, _, early, _ in rows),
        "<=",
        mpmath.fsum(-p * mpmath.log(w) for p, w, _, _ in rows),
    )
    yield (
        mpmath.fsum(p * min(w, mpf(1)) * f for p, w, _, f in rows),
        "<=",
        mpmath.fsum(p * min(early, mpf(1)) * f for p, _, early, f in rows),
    )


def _additive_and_resolved(x: Scored) -> Iterator[Relation]:
    """Every term with the weight of its own prefix; a future read off instead of sampled."""
    continued, steps = x.continued(), x.tree.steps
    total, low, width = mpf(0), mpf(0), mpf(0)
    for level in x.tree.levels[1:]:
        total += mpmath.fsum(node.q * continued[node.prefix] for node in level) / steps
        low += mpmath.fsum(min(node.p, node.q) * continued[node.prefix] for node in level) / steps
        width += mpmath.fsum(positive_part(node.p - node.q) for node in level) / steps
    yield low, "<=", total
    yield total, "<=", low + width
    yield width, "<=", x.tv
    stems = x.tree.levels[-2]
    yield mpmath.fsum(node.q * continued[node.prefix] for node in stems), "=", x.right
    square = mpmath.fsum(node.q**2 / node.p * continued[node.prefix] ** 2 for node in stems)
    yield square, "<=", x.mean(lambda w, f: (w * f) ** 2)


K5 = Theorem(
    id="K5",
    name="deciding-time",
    title="Drift after the answer does not count",
    statement="If f is settled by x_1 .. x_tau, tau a stopping time, then E_Q f = E_P w_tau f, and TV, KL, "
    "chi-squared, every H_M and the variance of w f are at most those of the whole text. Terms of an "
    "additive score take the weight of their own prefix: width sum c_t TV_t <= TV_n. If g = E_Q[f | first t "
    "tokens] can be read off, w_t g has the same mean and a smaller variance.",
    status=Status.VALID,
    hypotheses=("tau is read from left to right", "f is a function of the tokens up to tau"),
    derivation=(
        argument("w_tau = E_P[w_n | F_tau]; Jensen for every convex functional."),
        on_scores("stop at the first token 0", _settled),
        argument("Tower property: E_P[w_n f | F_t] = w_t E_Q[f | F_t]."),
        on_scores("additive scores, and the last token's future read off", _additive_and_resolved),
    ),
    source="optional stopping; Rao-Blackwell",
)

THEOREMS = (K2, K3, K5)
