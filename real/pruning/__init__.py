"""Spec strings, criteria and masks: from a dense model to a pruned one."""

from real.pruning.apply import prune as prune
from real.pruning.apply import pruned as pruned
