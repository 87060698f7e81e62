"""Synthetic worlds: random and adversarial perturbations, and chains where everything is known exactly."""

from sim.chains import SoftmaxChain as SoftmaxChain
from sim.sweeps.report import SweepReport as SweepReport
from sim.sweeps.sweep import sweep as sweep
