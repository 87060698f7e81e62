"""Trace a perturbation from hidden state over logits to probabilities, teacher-forced: all positions at once.

:mod:`real.lens`: every sublayer dropped (or pruned) alone. :mod:`real.joint`: a whole pruned model.
"""

from real.joint import JointTrace, trace_joint
from real.lens import LogitPair, SublayerTrace, sublayer_logits, trace_sublayers

__all__ = [
    "JointTrace",
    "LogitPair",
    "SublayerTrace",
    "sublayer_logits",
    "trace_joint",
    "trace_sublayers",
]
