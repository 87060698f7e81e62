"""Drift of a step of which only some tokens' probabilities are known: intervals that hold for certain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_EXACT = 1e-7  # of unseen mass: what rounding leaves when everything was seen


@dataclass(frozen=True)
class PartialDrift:
    """tv_lower <= TV(p, q) <= tv_upper, and KL(p||q) >= kl_lower in nats (nothing bounds it above)."""

    tv_lower: float
    tv_upper: float
    kl_lower: float


def partial_drift(
    log_p: Mapping[int, float], log_q: Mapping[int, float], rounding: tuple[float, float] = (0.0, 0.0)
) -> PartialDrift:
    """Bracket TV and KL from log-probabilities of a few tokens, given as ``{token: log-probability}``.

    Tokens listed by both are known, what is left of p and of q are two masses whose distribution over the
    other tokens is not: half their difference, at least, and half their sum, at most, is added to the known
    part of TV; the log-sum inequality merges them for KL. ``rounding``: largest error in nats of the two
    lists; the bracket widens by it, and KL is then bounded by Pinsker's inequality.

    Raises
    ------
    ValueError
        A list holds a positive or NaN log-probability.

    Example
    -------
    >>> partial_drift({3: -0.5}, {3: -0.5}).tv_lower
    0.0
    """
    for name, known in (("log_p", log_p), ("log_q", log_q)):
        if not all(value <= 0 for value in known.values()):
            raise ValueError(f"{name} holds a value that is not the logarithm of a probability")
    pairs = [(log_p[token], log_q[token]) for token in log_p if token in log_q]
    p, q = [math.exp(one) for one, _ in pairs], [math.exp(two) for _, two in pairs]
    rest_p, rest_q = max(0.0, 1 - math.fsum(p)), max(0.0, 1 - math.fsum(q))
    seen = math.fsum(abs(one - two) for one, two in zip(p, q, strict=True)) / 2
    slack = math.fsum(map(math.expm1, rounding))
    lower = max(0.0, seen + abs(rest_p - rest_q) / 2 - slack)
    upper = min(1.0, seen + (rest_p + rest_q) / 2 + slack)
    if slack:
        return PartialDrift(lower, upper, 2 * lower**2)
    terms = [math.exp(one) * (one - two) for one, two in pairs if one > -math.inf]
    if rest_p > _EXACT:
        terms.append(rest_p * math.log(rest_p / max(rest_q, _EXACT)))
    return PartialDrift(lower, upper, max(0.0, math.fsum(terms)))
