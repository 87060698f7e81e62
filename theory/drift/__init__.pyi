from .record import Drift as Drift
from .record import VectorDrift as VectorDrift

__all__ = [
    "Drift",
    "VectorDrift",
]
