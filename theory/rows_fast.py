"""Every column for a block of rows in few passes, and which rows need :mod:`theory.rows_careful` instead.

Divergences come from sums such as E_p x and E_p e^x - 1. Their rounding error is a few units of the sum's
terms, so a result that is not much smaller than its terms is accurate; where one is smaller, or an exponent
could leave the range, the row is reported as doubtful.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.rows import LOG2E, Pair, first_largest
from theory.rows_careful import GROUPS, Columns
from theory.stable import dot, dots

# A result this much smaller than what it is a difference of keeps twelve digits or more; squares of long rows
# are summed with larger errors, so they are held to ten times this.
KEPT = 1e-3
# Spread of logits and of delta for which no product of two probabilities or ratios over- or underflows.
WIDEST_SPREAD = 300.0
VARIANCES = ("var_p", "var_q", "var_r", "var_w", "var_g")


class Doubt:
    """Collects, per row and group of columns, whether every difference taken kept its digits."""

    def __init__(self, in_range: Tensor) -> None:
        self._sound: dict[str, list[Tensor]] = {group: [in_range] for group in GROUPS}

    def check(self, group: str, result: Tensor, scale: Tensor) -> Tensor:
        """Return ``result``, a difference of terms of size ``scale``, each ``(rows,)`` or ``(rows, k)``."""
        kept = result.abs() >= KEPT * scale
        self._sound[group].append(kept if kept.ndim == 1 else kept.all(-1))
        return result

    def rows(self) -> Tensor:
        """Mask ``(rows, groups)``: a result is too small, or nan, or the exponents are out of range."""
        return ~torch.stack([torch.stack(sound).all(0) for sound in self._sound.values()], -1)


def fast_rows(pair: Pair) -> tuple[Columns, Tensor]:
    """All measured columns of ``(rows, V)`` logits, each ``(rows,)``, and the mask of :meth:`Doubt.rows`."""
    x = pair.centred_delta()
    return fast_columns(fast_sums(pair, x, (x.amin(-1), x.amax(-1))), pair.z.shape[-1])


def fast_sums(pair: Pair, x: Tensor, extremes: tuple[Tensor, Tensor]) -> Columns:
    """The sums over the vocabulary that :func:`fast_columns` needs, ``(rows,)`` or ``(rows, 5)``.

    ``x`` is ``pair.centred_delta()``, ``(rows, V)``, with its extremes ``(rows,)``. The five are those of
    :func:`_weights`.
    """
    growth = torch.mul(x, 0.5 * LOG2E, out=pair.arena.like(x)).exp2_()
    weights = _weights(pair, growth)
    square = torch.mul(x, x, out=pair.arena.like(x))
    sums = vector_sums(pair, x) | {
        "least": extremes[0],
        "most": extremes[1],
        "mass": weights[:, 1:].sum(-1),
        "first": dots(weights, x),
        "second": dots(weights, square),
        "fourth": dot(weights[:, 2], weights[:, 2]),
        "weighted_y": dot(weights[:, 0], pair.dense.y),
        "weighted_y_perturbed": dot(weights[:, 1], pair.dense.y),
        "lowest": pair.dense.y.amin(-1),
        "top1_agree": (first_largest(pair.z_perturbed) == pair.dense.top).squeeze(-1),
    }
    half = torch.mul(x, 0.5, out=square).expm1_()
    return sums | _divergence_sums(weights, 1 + sums["rest"], growth, half, pair.arena.like(x))


def _weights(pair: Pair, growth: Tensor) -> Tensor:
    """p, q, p^2, p*q and sqrt(p*q), each times a constant, as ``(rows, 5, V)``; ``growth`` is e^(x/2)."""
    p, q, escort, product, root = pair.room.unbind(1)
    torch.mul(p, p, out=escort)
    torch.mul(p, growth, out=root)
    torch.mul(root, growth, out=q)
    torch.mul(root, root, out=product)
    return pair.room


def _divergence_sums(weights: Tensor, mass: Tensor, growth: Tensor, half: Tensor, spare: Tensor) -> Columns:
    """Sums over q/p - 1, which is (e^x - E)/E with E = E_p e^x; ``half`` is e^(x/2) - 1. Overwrites both.

    sinh^2(l/2) = (q-p)^2/4pq with l = log(q/p) gives chi2 both ways and, as js = J/4 - sum (p+q)/2 log
    cosh(l/2) with J = sum (q-p) l, js: both of its terms are of second order, the sum about half of J/4.
    """
    p, _, escort, *_ = weights.unbind(1)
    change = torch.addcmul(half, half, half, value=0.5, out=spare)  # (e^x - 1)/2
    excess = 2 * dot(p, change) / mass
    change.sub_((0.5 * excess).unsqueeze(-1))
    sums = {
        "excess": excess,
        "root_excess": dot(p, half) / mass,
        "escort_change": dot(escort, change),
        "distance": dot(p, torch.abs(change, out=half)),
    }
    sinh_sq = change.div_(growth).square_().mul_((1 / (1 + excess)).unsqueeze(-1))
    sums["sinh_sq"] = dots(weights[:, :4], sinh_sq)
    return sums | {"log_cosh": dots(weights[:, :2], sinh_sq.log1p_())}


def vector_sums(pair: Pair, x: Tensor) -> Columns:
    """Sums about logits and delta that every way of computing a row needs, ``(rows,)``."""
    y, z, step = pair.dense.y, pair.z, pair.step
    return {
        "rest": pair.dense.rest.squeeze(-1),
        "margin": pair.dense.margin,
        "sum_x": x.sum(-1),
        "sum_xx": dot(x, x),
        "sum_y": y.sum(-1),
        "sum_yy": dot(y, y),
        "sum_xy": dot(x, y),
        "norm_sq": dot(z, z),
        "product": dot(z, step),
        "step_sq": dot(step, step),
    }


def fast_columns(sums: Columns, vocabulary: int) -> tuple[Columns, Tensor]:
    """All measured columns, each ``(rows,)``, and the mask of :meth:`Doubt.rows`."""
    least, most = sums["least"], sums["most"]
    mass = torch.cat([(1 + sums["rest"]).unsqueeze(-1), sums["mass"]], -1)
    doubt = Doubt(torch.maximum(-sums["lowest"], most - least) < WIDEST_SPREAD)
    mean, square = sums["first"] / mass, sums["second"] / mass
    variance = doubt.check("variances", square - mean * mean, 10 * square)
    shift = torch.log1p(sums["excess"])
    columns = dict(zip(VARIANCES, variance.unbind(-1), strict=True))
    columns |= _divergences(sums, mass, mean, shift, doubt)
    columns |= {
        "oscillation": most - least,
        "rho_plus": doubt.check("range", most - shift, most.abs()),
        "rho_minus": doubt.check("range", shift - least, least.abs()),
        "low_p": doubt.check("range", least - mean[:, 0], least.abs()),
        "high_p": doubt.check("range", most - mean[:, 0], most.abs()),
        "low_r": doubt.check("range", least - mean[:, 2], least.abs()),
        "high_r": doubt.check("range", most - mean[:, 2], most.abs()),
        "gini_p": mass[:, 2] / mass[:, 0] ** 2,
        "gini_r": sums["fourth"] / mass[:, 2] ** 2,
    }
    columns |= {"var_u": uniform_variance(sums, vocabulary, doubt)}
    columns |= vector_columns(sums, vocabulary, doubt) | shape(sums)
    crossed = torch.log1p(sums["rest"]) - sums["weighted_y_perturbed"] / mass[:, 1]
    scale = 20 * (crossed + mean[:, 1].abs() + shift.abs())
    entropy = doubt.check("shape", crossed - columns["kl_reverse"], scale)
    return columns | {"entropy_perturbed": entropy}, doubt.rows()


def _divergences(sums: Columns, mass: Tensor, mean: Tensor, shift: Tensor, doubt: Doubt) -> Columns:
    """The sums about p and q; ``shift`` is log E_p e^x. E_p |l| is at most kl + 2 tv, E_q |l| likewise."""
    p, q, escort = mass[:, :3].unbind(-1)
    growth, sinh_sq, log_cosh = 1 + sums["excess"], sums["sinh_sq"], sums["log_cosh"]
    tv = sums["distance"] / (p * growth)
    kl = doubt.check("divergences", shift - mean[:, 0], tv)
    kl_reverse = doubt.check("divergences", mean[:, 1] - shift, torch.maximum(tv, kl))
    jeffreys = kl + kl_reverse
    log_cosh = log_cosh[:, 0] / p + log_cosh[:, 1] / q
    root = torch.sqrt(growth)
    affinity_lost = sums["excess"] / (1 + root) - sums["root_excess"]
    return {
        "kl": kl,
        "kl_reverse": kl_reverse,
        "tv": tv,
        "js": doubt.check("divergences", 0.25 * (jeffreys - log_cosh), torch.maximum(tv, 40 * jeffreys)),
        "hellinger_sq": doubt.check("divergences", affinity_lost / root, tv),
        "chi2": 4 * sinh_sq[:, 1] / q,
        "chi2_reverse": 4 * sinh_sq[:, 0] / p,
        "cosdist_p": distance_of_directions(
            2 * sums["escort_change"] / (escort * growth), 4 * sinh_sq[:, 3] / (escort * growth), doubt
        ),
    }


def distance_of_directions(mean: Tensor, square: Tensor, doubt: Doubt) -> Tensor:
    """1 - cos(p, q) from mean and mean square of c q/p - 1 under weights p^2, for any c > 0."""
    across, along = doubt.check("divergences", square - mean * mean, 10 * square), 1 + mean
    length = torch.sqrt(along * along + across)
    return across / (length * (length + along))


def uniform_variance(sums: Columns, vocabulary: int, doubt: Doubt) -> Tensor:
    """Variance of delta under the uniform distribution."""
    mean, square = sums["sum_x"] / vocabulary, sums["sum_xx"] / vocabulary
    return doubt.check("variances", square - mean * mean, 10 * square)


def shape(sums: Columns) -> Columns:
    """The columns about p alone, but for gini, and whether the largest logit is still the same."""
    mass = 1 + sums["rest"]
    return {
        "p_max": 1 / mass,
        "p_rest": sums["rest"] / mass,
        "entropy": torch.log1p(sums["rest"]) - sums["weighted_y"] / mass,
        "margin": sums["margin"],
        "top1_agree": sums["top1_agree"],
    }


def vector_columns(sums: Columns, vocabulary: int, doubt: Doubt) -> Columns:
    """The columns about z and z' as vectors; Pearson from z/T and delta, each less a constant."""
    norm_sq, product = sums["norm_sq"], sums["product"]
    cosdist, orthogonal_sq = _cosine(norm_sq, product, sums["step_sq"], doubt)
    sum_y, sum_x = sums["sum_y"], sums["sum_x"]
    spread = doubt.check("vectors", sums["sum_yy"] - sum_y * sum_y / vocabulary, sums["sum_yy"])
    step_sq = doubt.check("vectors", sums["sum_xx"] - sum_x * sum_x / vocabulary, sums["sum_xx"])
    centred = _cosine(spread, sums["sum_xy"] - sum_y * sum_x / vocabulary, step_sq, doubt)[0]
    return {
        "cosdist_z": cosdist,
        "cosdist_z_centred": centred,
        "orthogonal_sq": orthogonal_sq,
        "parallel": product / norm_sq,
        "norm_sq": norm_sq,
    }


def _cosine(norm_sq: Tensor, product: Tensor, step_sq: Tensor, doubt: Doubt) -> tuple[Tensor, Tensor]:
    """1 - cos(v, v + d) and ||d_perp||^2/||v||^2 from ||v||^2, <v, d> and ||d||^2 (A6)."""
    parallel = product / norm_sq
    relative_sq = step_sq / norm_sq
    orthogonal_sq = doubt.check("vectors", relative_sq - parallel * parallel, relative_sq)
    along = doubt.check("vectors", 1 + parallel, torch.ones_like(parallel))
    length = torch.sqrt(along * along + orthogonal_sq)
    near = orthogonal_sq / (length * (length + along))
    return torch.where(along > 0, near, 1 - along / length), orthogonal_sq
