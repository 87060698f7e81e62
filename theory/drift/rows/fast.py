"""Every column for a block of rows in few passes, and which rows need :mod:`theory.drift.rows.careful`.

Divergences come from sums such as E_p x and E_p e^x - 1. Their rounding error is a few units of the sum's
terms, so a result that is not much smaller than its terms is accurate; where one is smaller, or an exponent
could leave the range, the row is reported as doubtful. :mod:`theory.drift.rows.apart` shares most of this.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.drift.rows.careful import GROUPS, Columns
from theory.drift.rows.rows import LOG2E, Pair
from theory.drift.rows.stable import dot, dots

# A result this much smaller than what it is a difference of keeps twelve digits or more; squares of long rows
# are summed with larger errors, so they are held to ten times this.
KEPT = 1e-3
# Spread of logits and of delta for which no product of two probabilities or ratios over- or underflows.
WIDEST_SPREAD = 300.0
# Variance of delta under p and the escort from which on e^x - 1 need not keep more digits than e^x, provided
# that the squared Hellinger distance, the smallest of the results, is not below KEPT.
MOVED = 0.02
VARIANCES = ("var_p", "var_q", "var_w", "var_r", "var_g")


class Doubt:
    """Collects, per row and group of columns, whether every difference taken kept its digits."""

    def __init__(self, sums: Columns) -> None:
        in_range = torch.maximum(-sums["lowest"], sums["most"] - sums["least"]) < WIDEST_SPREAD
        self._sound: dict[str, list[Tensor]] = {group: [in_range] for group in GROUPS}

    def check(self, group: str, result: Tensor, scale: Tensor) -> Tensor:
        """Return ``result``, a difference of terms of size ``scale``, each ``(rows,)`` or ``(rows, k)``."""
        kept = result.abs() >= KEPT * scale
        self._sound[group].append(kept if kept.ndim == 1 else kept.all(-1))
        return result

    def rows(self) -> Tensor:
        """Mask ``(rows, groups)``: a result is too small, or nan, or the exponents are out of range."""
        return ~torch.stack([torch.stack(sound).all(0) for sound in self._sound.values()], -1)


def fast_sums(pair: Pair, centred: tuple[Tensor, Tensor, Tensor], growth: Tensor) -> Columns:
    """The sums over the vocabulary that :func:`fast_columns` needs, ``(rows,)`` or ``(rows, k)``.

    ``centred`` is ``pair.centred_delta()``; ``growth``, ``(rows, V)``, becomes e^(x/2). The five of a sum are
    those of :func:`_weigh`.
    """
    x, least, most = centred
    torch.mul(x, 0.5 * LOG2E, out=growth).exp2_()
    weights = _weigh(pair, growth)
    spare = torch.mul(x, x, out=pair.arena.like(x))
    total = pair.room[:, :7].sum(-1)
    by_x = dots(pair.room[:, :7], x)
    mass = torch.cat([1 + pair.dense.rest, total[:, 3:]], -1)
    mean, square = by_x[:, 2:] / mass, dots(weights, spare) / mass
    sums = vector_sums(pair) | {
        "least": least,
        "most": most,
        "total": total,
        "by_x": by_x,
        "by_y": dots(pair.room[:, 1:4], pair.dense.y),
        "mass": mass,
        "mean": mean,
        "square": square,
        "variance": square - mean * mean,
        "fourth": dot(weights[:, 3], weights[:, 3]),
        "lowest": pair.dense.y.amin(-1),
        "top1_agree": (pair.top_perturbed == pair.dense.top).squeeze(-1),
    }
    change = pair.arena.like(x)
    if bool((sums["variance"][:, ::3] >= MOVED).all()):
        sums |= _change_of_moved(mass, growth, change)
    else:
        sums |= _change(pair, x, change, spare)
    return sums | _divergence_sums(weights, change, growth, sums["excess"], spare)


def _change_of_moved(mass: Tensor, growth: Tensor, change: Tensor) -> Columns:
    """(e^x - E)/2 into ``change``, with E = E_p e^x; what E and E_p e^(x/2) exceed 1 by, ``(rows,)``."""
    mean_growth = mass[:, 1] / mass[:, 0]
    torch.addcmul((-0.5 * mean_growth).unsqueeze(-1), growth, growth, value=0.5, out=change)
    return {"excess": mean_growth - 1, "root_excess": mass[:, 4] / mass[:, 0] - 1}


def _change(pair: Pair, x: Tensor, change: Tensor, spare: Tensor) -> Columns:
    """As :func:`_change_of_moved`, all relative to what they differ from."""
    mass, p = 1 + pair.dense.rest.squeeze(-1), pair.dense.weights
    half = torch.mul(x, 0.5, out=spare).expm1_()
    torch.addcmul(half, half, half, value=0.5, out=change)  # (e^x - 1)/2
    excess = 2 * dot(p, change) / mass
    change.sub_((0.5 * excess).unsqueeze(-1))
    return {"excess": excess, "root_excess": dot(p, half) / mass}


def _weigh(pair: Pair, growth: Tensor) -> Tensor:
    """p, q, p*q, p^2 and sqrt(p*q), each times a constant, as ``(rows, 5, V)``; ``growth`` is e^(x/2)."""
    p, q, product, escort, root = pair.room[:, 2:7].unbind(1)
    torch.mul(p, p, out=escort)
    torch.mul(p, growth, out=root)
    torch.mul(root, growth, out=q)
    torch.mul(root, root, out=product)
    return pair.room[:, 2:7]


def _divergence_sums(
    weights: Tensor, change: Tensor, growth: Tensor, excess: Tensor, spare: Tensor
) -> Columns:
    """Sums over q/p - 1, which is ``change`` times 2/E with E = E_p e^x. Overwrites ``change``.

    sinh^2(l/2) = (q-p)^2/4pq with l = log(q/p) gives chi2 both ways and, as js = J/4 - sum (p+q)/2 log
    cosh(l/2) with J = sum (q-p) l, js: both of its terms are of second order, the sum about half of J/4.
    """
    p, _, _, escort, _ = weights.unbind(1)
    sums = {
        "escort_change": dot(escort, change),
        "distance": dot(p, torch.abs(change, out=spare)),
    }
    sinh_sq = change.div_(growth).square_().mul_((1 / (1 + excess)).unsqueeze(-1))
    sums["sinh_sq"] = dots(weights[:, :3], sinh_sq)
    return sums | {"log_cosh": dots(weights[:, :2], sinh_sq.log1p_())}


def vector_sums(pair: Pair) -> Columns:
    """Sums about p alone and the logits as vectors that every way of computing a row needs.

    Beside them each way gives ``total``, sums of x and y, ``by_x``, of their products with x, and ``by_y``,
    of y's with y; more may follow in each.
    """
    return {
        "rest": pair.dense.rest.squeeze(-1),
        "margin": pair.dense.margin,
        "norm_sq": dot(pair.z, pair.z),
        "by_step": dots(pair.room[:, 7:], pair.step),
    }


def fast_columns(sums: Columns, vocabulary: int) -> tuple[Columns, Tensor]:
    """All measured columns, each ``(rows,)``, and the mask of :meth:`Doubt.rows`."""
    doubt = Doubt(sums)
    columns = shared_columns(sums, vocabulary, doubt)
    mass, mean = sums["mass"], sums["mean"]
    variance = doubt.check("variances", sums["variance"], 10 * sums["square"])
    columns |= zip(VARIANCES, variance.unbind(-1), strict=True)
    crossed = torch.log1p(sums["rest"]) - sums["by_y"][:, 2] / mass[:, 1]
    scale = 20 * (crossed + mean[:, 1].abs() + torch.log1p(sums["excess"]).abs())
    return columns | {
        "js": doubt.check("divergences", *jensen_shannon(sums, columns)),
        "entropy_perturbed": doubt.check("shape", crossed - columns["kl_reverse"], scale),
    }, doubt.rows()


def shared_columns(sums: Columns, vocabulary: int, doubt: Doubt) -> Columns:
    """The columns that are found alike for rows apart and not: all but js, five variances, entropy of q."""
    least, most = sums["least"], sums["most"]
    mass, mean = sums["mass"], sums["mean"]
    shift = torch.log1p(sums["excess"])
    return {
        "oscillation": most - least,
        "rho_plus": doubt.check("range", most - shift, most.abs()),
        "rho_minus": doubt.check("range", shift - least, least.abs()),
        "low_p": doubt.check("range", least - mean[:, 0], least.abs()),
        "high_p": doubt.check("range", most - mean[:, 0], most.abs()),
        "low_r": doubt.check("range", least - mean[:, 3], least.abs()),
        "high_r": doubt.check("range", most - mean[:, 3], most.abs()),
        "gini_p": mass[:, 3] / mass[:, 0] ** 2,
        "gini_r": sums["fourth"] / mass[:, 3] ** 2,
        "var_u": uniform_variance(sums, vocabulary, doubt),
        **_divergences(sums, mass, mean, shift, doubt),
        **vector_columns(sums, vocabulary, doubt),
        **shape(sums, sums["by_y"][:, 1]),
    }


def _divergences(sums: Columns, mass: Tensor, mean: Tensor, shift: Tensor, doubt: Doubt) -> Columns:
    """The sums about p and q but js; ``shift`` is log E_p e^x. E_p |l| is at most kl + 2 tv, E_q |l| too."""
    p, q, _, escort, _ = mass.unbind(-1)
    growth, sinh_sq = 1 + sums["excess"], sums["sinh_sq"]
    tv = sums["distance"] / (p * growth)
    kl = doubt.check("divergences", shift - mean[:, 0], tv)
    root = torch.sqrt(growth)
    affinity_lost = sums["excess"] / (1 + root) - sums["root_excess"]
    moved = (sums["variance"][:, ::3] >= MOVED).all(-1)
    return {
        "kl": kl,
        "kl_reverse": doubt.check("divergences", mean[:, 1] - shift, torch.maximum(tv, kl)),
        "tv": tv,
        "hellinger_sq": doubt.check("divergences", affinity_lost / root, torch.where(moved, 1.0, tv)),
        "chi2": 4 * sinh_sq[:, 1] / q,
        "chi2_reverse": 4 * sinh_sq[:, 0] / p,
        "cosdist_p": distance_of_directions(
            2 * sums["escort_change"] / (escort * growth), 4 * sinh_sq[:, 2] / (escort * growth), doubt
        ),
    }


def jensen_shannon(sums: Columns, columns: Columns) -> tuple[Tensor, Tensor]:
    """js as a quarter of the Jeffreys divergence less a sum, and the size of the terms."""
    jeffreys = columns["kl"] + columns["kl_reverse"]
    log_cosh = (sums["log_cosh"] / sums["mass"][:, :2]).sum(-1)
    return 0.25 * (jeffreys - log_cosh), torch.maximum(columns["tv"], 40 * jeffreys)


def distance_of_directions(mean: Tensor, square: Tensor, doubt: Doubt) -> Tensor:
    """1 - cos(p, q) from mean and mean square of c q/p - 1 under weights p^2, for any c > 0."""
    across, along = doubt.check("divergences", square - mean * mean, 10 * square), 1 + mean
    length = torch.sqrt(along * along + across)
    return across / (length * (length + along))


def uniform_variance(sums: Columns, vocabulary: int, doubt: Doubt) -> Tensor:
    """Variance of delta under the uniform distribution."""
    mean, square = sums["total"][:, 0] / vocabulary, sums["by_x"][:, 0] / vocabulary
    return doubt.check("variances", square - mean * mean, 10 * square)


def shape(sums: Columns, weighted_y: Tensor) -> Columns:
    """The columns about p alone, but for gini, and whether the largest logit is still the same."""
    mass = 1 + sums["rest"]
    return {
        "p_max": 1 / mass,
        "p_rest": sums["rest"] / mass,
        "entropy": torch.log1p(sums["rest"]) - weighted_y / mass,
        "margin": sums["margin"],
        "top1_agree": sums["top1_agree"],
    }


def vector_columns(sums: Columns, vocabulary: int, doubt: Doubt) -> Columns:
    """The columns about z and z' as vectors; Pearson from z/T and delta, each less a constant."""
    norm_sq, (product, step_sq) = sums["norm_sq"], sums["by_step"].unbind(-1)
    cosdist, orthogonal_sq = _cosine(norm_sq, product, step_sq, doubt)
    (sum_x, sum_y), (sum_xx, sum_xy) = sums["total"][:, :2].unbind(-1), sums["by_x"][:, :2].unbind(-1)
    sum_yy = sums["by_y"][:, 0]
    spread = doubt.check("vectors", sum_yy - sum_y * sum_y / vocabulary, sum_yy)
    moved = doubt.check("vectors", sum_xx - sum_x * sum_x / vocabulary, sum_xx)
    centred = _cosine(spread, sum_xy - sum_y * sum_x / vocabulary, moved, doubt)[0]
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
