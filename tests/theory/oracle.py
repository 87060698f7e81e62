"""Independent truth: every column of a drift by its textbook formula in mpmath, on the exact real inputs."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
from mpmath import mp, mpf

Number = mpf


def _softmax(y: Sequence[Number]) -> list[Number]:
    weights = [mp.exp(value) for value in y]
    total = mp.fsum(weights)
    return [weight / total for weight in weights]


def _dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    return mp.fsum(x * y for x, y in zip(a, b, strict=True))


def _mean(weights: Sequence[Number], values: Sequence[Number]) -> Number:
    return _dot(weights, values) / mp.fsum(weights)


def _variance(weights: Sequence[Number], values: Sequence[Number]) -> Number:
    centre = _mean(weights, values)
    return _mean(weights, [(value - centre) ** 2 for value in values])


def _kl(a: Sequence[Number], b: Sequence[Number]) -> Number:
    return mp.fsum(x * mp.log(x / y) for x, y in zip(a, b, strict=True))


def _centred(values: Sequence[Number]) -> list[Number]:
    centre = mp.fsum(values) / len(values)
    return [value - centre for value in values]


def cosine_distance(x: Sequence[Number], y: Sequence[Number]) -> Number:
    """1 - cos; 0 for two zero vectors, nan for one."""
    zero = [all(value == 0 for value in vector) for vector in (x, y)]
    if any(zero):
        return mpf(0) if all(zero) else mp.nan
    return 1 - _dot(x, y) / mp.sqrt(_dot(x, x) * _dot(y, y))


def vector_columns(x: Sequence[float], y: Sequence[float]) -> dict[str, Number]:
    """The columns of a ``VectorDrift``."""
    x, y = [mpf(v) for v in x], [mpf(v) for v in y]
    d = [b - a for a, b in zip(x, y, strict=True)]
    norm = _dot(x, x)
    if norm == 0:
        ratio = mp.nan if any(d) else mpf(0)
        parallel = across = relative = ratio
    else:
        parallel = _dot(d, x) / norm
        rest = [v - parallel * u for v, u in zip(d, x, strict=True)]
        across, relative = _dot(rest, rest) / norm, _dot(d, d) / norm
    return {
        "cosdist": cosine_distance(x, y),
        "orthogonal_sq": across,
        "parallel": parallel,
        "norm_sq": norm,
        "relative_sq": relative,
    }


def drift_columns(
    logits: Sequence[float], perturbed: Sequence[float], temperature: float = 1.0
) -> dict[str, Number]:
    """The numeric columns of a ``Drift`` (all but options and constants), to a precision the inputs call for.

    What cancels down to the last digits worked with is 0.
    """
    spread = max(max(v) - min(v) for v in (logits, perturbed)) / temperature
    digits = 80 + int(2.2 * min(spread, 800) / 2.3)
    with mpmath.workdps(digits):
        columns = _drift_columns([mpf(v) for v in logits], [mpf(v) for v in perturbed], mpf(temperature))
        noise = mpf(10) ** (20 - digits)
        return {name: mpf(0) if abs(value) < noise else value for name, value in columns.items()}


def _drift_columns(z: list[Number], w: list[Number], t: Number) -> dict[str, Number]:
    top, top_w = max(z), max(w)
    p, q = _softmax([(v - top) / t for v in z]), _softmax([(v - top_w) / t for v in w])
    delta = [(b - a) / t for a, b in zip(z, w, strict=True)]
    r, pq = [a * a for a in p], [a * b for a, b in zip(p, q, strict=True)]
    root = [mp.sqrt(v) for v in pq]
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    ratio = [mp.log(b / a) for a, b in zip(p, q, strict=True)]
    gap_sq = [(b - a) ** 2 for a, b in zip(p, q, strict=True)]
    first, *others = sorted(z, reverse=True)
    vectors = vector_columns(z, w)
    return {
        "kl": _kl(p, q),
        "kl_reverse": _kl(q, p),
        "js": (_kl(p, middle) + _kl(q, middle)) / 2,
        "tv": mp.fsum(abs(b - a) for a, b in zip(p, q, strict=True)) / 2,
        "hellinger_sq": 1 - mp.fsum(root),
        "chi2": mp.fsum(g / a for g, a in zip(gap_sq, p, strict=True)),
        "chi2_reverse": mp.fsum(g / b for g, b in zip(gap_sq, q, strict=True)),
        "cosdist_p": cosine_distance(p, q),
        "cosdist_z": vectors["cosdist"],
        "cosdist_z_centred": cosine_distance(_centred(z), _centred(w)),
        "oscillation": max(delta) - min(delta),
        "rho_plus": max(ratio),
        "rho_minus": -min(ratio),
        "var_p": _variance(p, delta),
        "var_q": _variance(q, delta),
        "var_r": _variance(r, delta),
        "var_w": _variance(pq, delta),
        "var_g": _variance(root, delta),
        "var_u": _variance([mpf(1)] * len(z), delta),
        "low_p": min(delta) - _mean(p, delta),
        "high_p": max(delta) - _mean(p, delta),
        "low_r": min(delta) - _mean(r, delta),
        "high_r": max(delta) - _mean(r, delta),
        "p_max": max(p),
        "p_rest": mp.fsum(sorted(p)[:-1]),
        "entropy": -mp.fsum(a * mp.log(a) for a in p),
        "entropy_perturbed": -mp.fsum(a * mp.log(a) for a in q),
        "margin": (first - others[0]) / t if others else mp.inf,
        "gini_p": mp.fsum(r),
        "gini_r": _dot(r, r) / mp.fsum(r) ** 2,
        "orthogonal_sq": vectors["orthogonal_sq"],
        "parallel": vectors["parallel"],
        "norm_sq": vectors["norm_sq"],
    }


def gumbel_flip(logits: Sequence[float], perturbed: Sequence[float], temperature: float = 1.0) -> Number:
    """Probability that two Gumbel-argmax draws with one noise differ, by the quadratic formula (G11)."""
    with mpmath.workdps(80):
        p = _softmax([mpf(v) / temperature for v in logits])
        q = _softmax([mpf(v) / temperature for v in perturbed])
        agree = mpf(0)
        for a, b in zip(p, q, strict=True):
            agree += 1 / mp.fsum(max(c / a, d / b) for c, d in zip(p, q, strict=True))
        return 1 - agree
