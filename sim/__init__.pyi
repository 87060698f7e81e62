from .chains import SoftmaxChain as SoftmaxChain
from .sweeps.report import SweepReport as SweepReport
from .sweeps.sweep import sweep as sweep

__all__ = [
    "SoftmaxChain",
    "SweepReport",
    "sweep",
]
