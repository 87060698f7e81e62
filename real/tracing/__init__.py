"""Trace a perturbation from hidden state over logits to probabilities, teacher-forced: all positions at once.

:mod:`real.tracing.sublayers`: every sublayer dropped (or pruned) alone.
:mod:`real.tracing.whole_model`: a whole pruned model.
"""

from real.tracing.sublayers import LogitPair, SublayerTrace, sublayer_logits, trace_sublayers
from real.tracing.whole_model import JointTrace, trace_joint

__all__ = [
    "JointTrace",
    "LogitPair",
    "SublayerTrace",
    "sublayer_logits",
    "trace_joint",
    "trace_sublayers",
]
