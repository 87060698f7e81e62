"""The measured drift of a distribution and of a vector: one column per quantity and statistic."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from theory.drift.table import TensorTable


@dataclasses.dataclass(frozen=True)
class Drift(TensorTable):
    """How far logits z' = z + D move p = softmax(z/T), the dense model, to q = softmax(z'/T); delta = D/T.

    Every column is a float64 tensor of the leading shape ``(...)`` (``top1_agree`` is boolean). Divergences
    are in nats. ``delta`` enters through differences only, so a shift common to all logits changes nothing
    but the columns about the vectors z and z' themselves.
    """

    kl: Tensor
    """KL(p||q)."""
    kl_reverse: Tensor
    """KL(q||p)."""
    js: Tensor
    """Jensen-Shannon divergence, at most log 2."""
    tv: Tensor
    """Total variation, half the L1 distance."""
    hellinger_sq: Tensor
    """Squared Hellinger distance 1 - BC, BC = sum sqrt(pq)."""
    chi2: Tensor
    """chi2(q||p) = sum (q-p)^2/p; inf where it exceeds the float64 range."""
    chi2_reverse: Tensor
    """chi2(p||q) = sum (q-p)^2/q; inf where it exceeds the float64 range."""
    cosdist_p: Tensor
    """1 - cos(p, q)."""
    cosdist_z: Tensor
    """1 - cos(z, z'), which depends on the offset of the logits; nan if exactly one of the two is zero."""
    cosdist_z_centred: Tensor
    """1 - cos of the logits less their means (1 - Pearson); nan if exactly one of the two is constant.

    Values below 1e-24 or so lose digits, because rounding the mean of the logits turns them a little."""
    oscillation: Tensor
    """R = max delta - min delta, the Hilbert projective distance of p and q."""
    rho_plus: Tensor
    """max log(q/p)."""
    rho_minus: Tensor
    """max log(p/q); rho_plus + rho_minus = R."""
    var_p: Tensor
    """Variance of delta under p."""
    var_q: Tensor
    """Variance of delta under q."""
    var_r: Tensor
    """Variance of delta under the escort r = p^2/sum p^2 = softmax(2z/T)."""
    var_w: Tensor
    """Variance of delta under w proportional to p*q."""
    var_g: Tensor
    """Variance of delta under g proportional to sqrt(p*q)."""
    var_u: Tensor
    """Variance of delta under the uniform distribution."""
    low_p: Tensor
    """min delta - E_p delta."""
    high_p: Tensor
    """max delta - E_p delta."""
    low_r: Tensor
    """min delta - E_r delta."""
    high_r: Tensor
    """max delta - E_r delta."""
    p_max: Tensor
    """Largest probability of p."""
    p_rest: Tensor
    """1 - p_max, summed from the other probabilities: it keeps its digits where p_max rounds to 1."""
    entropy: Tensor
    """Entropy of p."""
    entropy_perturbed: Tensor
    """Entropy of q."""
    margin: Tensor
    """Largest less second largest of z, divided by T (inf for a single entry)."""
    gini_p: Tensor
    """sum p^2."""
    gini_r: Tensor
    """sum r^2."""
    orthogonal_sq: Tensor
    """||D_perp||^2/||z||^2, D_perp the part of D orthogonal to z; nan if z = 0 and D is not."""
    parallel: Tensor
    """<D, z>/||z||^2; nan if z = 0 and D is not."""
    norm_sq: Tensor
    """||z||^2."""
    top1_agree: Tensor
    """Whether p and q have the same most probable entry (the first one where several tie)."""
    option_mass: Tensor
    """Mass that the full p gives to the measured options; 1 if the whole vocabulary is measured."""
    option_mass_perturbed: Tensor
    """Mass that the full q gives to the measured options; 1 if the whole vocabulary is measured."""
    temperature: Tensor
    """T."""
    vocabulary: Tensor
    """Number of entries of the measured distribution."""


@dataclasses.dataclass(frozen=True)
class VectorDrift(TensorTable):
    """How far a vector x moved to y = x + d; every column is a float64 tensor of the leading shape ``(...)``.

    A zero vector has no direction: where exactly one of x and y is zero ``cosdist`` is nan, and where x is
    zero and y is not the three ratios to ||x||^2 are nan. Where both are zero, nothing moved: all are 0.
    """

    cosdist: Tensor
    """1 - cos(x, y)."""
    orthogonal_sq: Tensor
    """||d_perp||^2/||x||^2, d_perp the part of d orthogonal to x."""
    parallel: Tensor
    """<d, x>/||x||^2."""
    norm_sq: Tensor
    """||x||^2."""
    relative_sq: Tensor
    """||d||^2/||x||^2."""
