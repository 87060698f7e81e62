"""A transformer small enough to train in seconds, on tasks whose right answers are known."""

from sim.toy.accuracy import pruning_curve
from sim.toy.model import PRUNINGS, pruned, train
from sim.toy.tasks import Task

__all__ = ["PRUNINGS", "Task", "pruned", "pruning_curve", "train"]
