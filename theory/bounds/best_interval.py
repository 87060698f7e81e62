"""The tightest proved interval of a measured or enclosed quantity, by the whole catalogue (theorem C9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from theory.drift.record import Drift
from theory.statements.catalogue import catalogue
from theory.theorems.intersection import BestInterval, intersection


def best_interval(statistics: Drift | Mapping[str, Any], quantity: str = "cosdist_p") -> BestInterval:
    """The tightest proved interval of a quantity.

    Parameters
    ----------
    statistics
        A ``Drift``: bounds evaluated in float64, subject to rounding. An ``Enclosure``, or any mapping from a
        statistic's name to (lower, upper): certified bounds, from the statistics that it has.
    quantity
        A divergence column, such as ``"cosdist_p"`` or ``"kl"``. A bound by another divergence (JS by H^2) is
        used with the interval that statistics alone give of that one.

    Raises
    ------
    UnknownNameError
        If ``quantity`` is not a divergence.
    """
    return intersection(catalogue, statistics, quantity)
