"""What a drift is and how it is measured."""

from theory.drift.record import Drift as Drift
from theory.drift.record import VectorDrift as VectorDrift
