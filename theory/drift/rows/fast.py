"""Every column for a block of rows in few passes, and which rows need :mod:`theory.drift.rows.careful`.

Divergences come from sums such as E_p x and E_p e^x - 1. Their rounding error is a few units of the sum's
terms, so a result that is not much smaller than its terms is accurate; where one is smaller, or an exponent
could leave the range, the row is reported as doubtful. :mod:`theory.drift.rows.apart` shares most of this.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.drift.rows.buffers import Planes
from theory.drift.rows.careful import Columns
from theory.drift.rows.doubt import Doubt, Found
from theory.drift.rows.rows import LOG2E, Centred, Pair
from theory.drift.rows.stable import dot, dots
from theory.drift.rows.sums import FastSums, PairSums, Weighted

# Variance of delta under p and the escort from which on e^x - 1 need not keep more digits than e^x, provided
# that the squared Hellinger distance, the smallest of the results, is not below what Doubt keeps.
MOVED = 0.02
# A sum of squares about the mean that is smaller than this share of the sum of squares is taken anew, each
# entry less the mean; that keeps digits to a far smaller share, ABOUT_MEAN times what Doubt asks for.
CENTRED = 0.05
ABOUT_MEAN = 1e-3
# Sum of squares below which some of them may have underflowed.
TINY = 1e-250


def fast_sums(pair: Pair, centred: Centred, growth: Tensor) -> FastSums:
    """The sums over the vocabulary of a chunk; ``growth``, ``(rows, V)``, becomes e^(x/2)."""
    x, planes = centred.x, pair.planes
    torch.mul(x, 0.5 * LOG2E, out=growth).exp2_()
    _weigh(planes, growth)
    spare = torch.mul(x, x, out=pair.arena.like(x))
    exponents, weights = torch.split(planes.exponents_and_weights.sum(-1), [2, 5], -1)
    exponents_x, weights_x = torch.split(dots(planes.exponents_and_weights, x), [2, 5], -1)
    mass = torch.cat([1 + pair.dense.rest, weights[:, 1:]], -1)  # that of p as the margin of its top knows it
    mean, square = weights_x / mass, dots(planes.weights, spare) / mass
    variance = square - mean * mean
    change = pair.arena.like(x)
    if bool(_moved(variance).all()):
        excess, root_excess = _change_of_moved(Weighted.of(mass), growth, change)
    else:
        excess, root_excess = _change(pair, x, change, spare)
    yy, py, qy = dots(planes.y_p_q, planes.y).unbind(-1)
    return FastSums(
        **pair_sums(pair),
        **spreads(pair, x, exponents, exponents_x, yy),
        least=centred.least,
        most=centred.most,
        py=py,
        qy=qy,
        mass=mass,
        mean=mean,
        square=square,
        variance=variance,
        fourth=dot(planes.escort, planes.escort),
        excess=excess,
        root_excess=root_excess,
        **_divergence_sums(planes, change, growth, excess, spare),
    )


def pair_sums(pair: Pair) -> Columns:
    """The fields of :class:`PairSums` that are found alike on every way."""
    z_step, step_step = dots(pair.planes.vectors, pair.step).unbind(-1)
    return {
        "rest": pair.dense.rest.squeeze(-1),
        "margin": pair.dense.margin,
        "lowest": pair.dense.y.amin(-1),
        "zz": dot(pair.z, pair.z),
        "z_step": z_step,
        "step_step": step_step,
        "top1_agree": (pair.top_perturbed == pair.dense.top).squeeze(-1),
    }


def spreads(pair: Pair, x: Tensor, total: Tensor, by_x: Tensor, yy: Tensor) -> Columns:
    """The sums of :class:`PairSums` about x and y as vectors, from the sums of x and y and of their products
    with x, ``(rows, 2)``; taken anew about the means where the differences of sums lose digits.
    """
    size = x.shape[-1]
    mean_x, mean_y = (total / size).unbind(-1)
    (x_sum, _), (xx, xy) = total.unbind(-1), by_x.unbind(-1)
    x_spread, xy_spread, y_spread = xx - x_sum * mean_x, xy - x_sum * mean_y, yy - size * mean_y * mean_y
    if bool(((x_spread < CENTRED * xx) | (y_spread < CENTRED * yy)).any()):
        away_x = torch.sub(x, mean_x.unsqueeze(-1), out=pair.arena.like(x))
        away_y = torch.sub(pair.planes.y, mean_y.unsqueeze(-1), out=pair.arena.like(x))
        x_spread, xy_spread, y_spread = dot(away_x, away_x), dot(away_x, away_y), dot(away_y, away_y)
    return {"xx": xx, "yy": yy, "x_spread": x_spread, "xy_spread": xy_spread, "y_spread": y_spread}


def _weigh(planes: Planes, growth: Tensor) -> None:
    """Fill the planes of the weights, given that of p and ``growth``, e^(x/2)."""
    torch.mul(planes.p, planes.p, out=planes.escort)
    torch.mul(planes.p, growth, out=planes.root)
    torch.mul(planes.root, growth, out=planes.q)
    torch.mul(planes.root, planes.root, out=planes.product)


def _moved(variance: Tensor) -> Tensor:
    """Which rows moved far, ``(rows,)``, from their variances ``(rows, 5)``."""
    under = Weighted.of(variance)
    return (under.p >= MOVED) & (under.escort >= MOVED)


def _change_of_moved(mass: Weighted, growth: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """(e^x - E)/2 into ``change``, with E = E_p e^x; what E and E_p e^(x/2) exceed 1 by, ``(rows,)``."""
    mean_growth = mass.q / mass.p
    torch.addcmul((-0.5 * mean_growth).unsqueeze(-1), growth, growth, value=0.5, out=change)
    return mean_growth - 1, mass.root / mass.p - 1


def _change(pair: Pair, x: Tensor, change: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`_change_of_moved`, all relative to what they differ from."""
    mass, p = 1 + pair.dense.rest.squeeze(-1), pair.planes.p
    half = torch.mul(x, 0.5, out=spare).expm1_()
    torch.addcmul(half, half, half, value=0.5, out=change)  # (e^x - 1)/2
    excess = 2 * dot(p, change) / mass
    change.sub_((0.5 * excess).unsqueeze(-1))
    return excess, dot(p, half) / mass


def _divergence_sums(
    planes: Planes, change: Tensor, growth: Tensor, excess: Tensor, spare: Tensor
) -> Columns:
    """Sums over q/p - 1, which is ``change`` times 2/E with E = E_p e^x. Overwrites ``change``.

    sinh^2(l/2) = (q-p)^2/4pq with l = log(q/p) gives chi2 both ways and, as js = J/4 - sum (p+q)/2 log
    cosh(l/2) with J = sum (q-p) l, js: both of its terms are of second order, the sum about half of J/4.
    """
    escort_change = dot(planes.escort, change)
    distance = dot(planes.p, torch.abs(change, out=spare))
    sinh_sq = change.div_(growth).square_().mul_((1 / (1 + excess)).unsqueeze(-1))
    by_p, by_q, by_product = dots(planes.weights[:, :3], sinh_sq).unbind(-1)
    log_cosh_p, log_cosh_q = dots(planes.weights[:, :2], sinh_sq.log1p_()).unbind(-1)
    return {
        "escort_change": escort_change,
        "distance": distance,
        "sinh_sq_p": by_p,
        "sinh_sq_q": by_q,
        "sinh_sq_product": by_product,
        "log_cosh_p": log_cosh_p,
        "log_cosh_q": log_cosh_q,
    }


def fast_columns(sums: FastSums, vocabulary: int) -> Found:
    """All measured columns and which of them to doubt."""
    doubt = Doubt(sums)
    columns = shared_columns(sums, vocabulary, doubt)
    variance = doubt.check("variances", sums.variance, 10 * sums.square)
    crossed = torch.log1p(sums.rest) - sums.qy / Weighted.of(sums.mass).q
    scale = 20 * (crossed + Weighted.of(sums.mean).q.abs() + torch.log1p(sums.excess).abs())
    columns |= {
        **variances(variance),
        "js": doubt.check("divergences", *jensen_shannon(sums, columns)),
        "entropy_perturbed": doubt.check("shape", crossed - columns["kl_reverse"], scale),
    }
    return Found(columns, doubt.rows())


def variances(values: Tensor) -> Columns:
    """The columns of ``(rows, 5)`` variances."""
    under = Weighted.of(values)
    return {
        "var_p": under.p,
        "var_q": under.q,
        "var_w": under.product,
        "var_r": under.escort,
        "var_g": under.root,
    }


def shared_columns(sums: FastSums, vocabulary: int, doubt: Doubt) -> Columns:
    """The columns that are found alike for rows apart and not: all but js, five variances, entropy of q."""
    least, most = sums.least, sums.most
    mass, mean = Weighted.of(sums.mass), Weighted.of(sums.mean)
    shift = torch.log1p(sums.excess)
    return {
        "oscillation": most - least,
        "rho_plus": doubt.check("range", most - shift, most.abs()),
        "rho_minus": doubt.check("range", shift - least, least.abs()),
        "low_p": doubt.check("range", least - mean.p, least.abs()),
        "high_p": doubt.check("range", most - mean.p, most.abs()),
        "low_r": doubt.check("range", least - mean.escort, least.abs()),
        "high_r": doubt.check("range", most - mean.escort, most.abs()),
        "gini_p": mass.escort / mass.p**2,
        "gini_r": sums.fourth / mass.escort**2,
        "var_u": uniform_variance(sums, vocabulary, doubt),
        **_divergences(sums, shift, doubt),
        **vector_columns(sums, doubt),
        **shape(sums, sums.py),
    }


def _divergences(sums: FastSums, shift: Tensor, doubt: Doubt) -> Columns:
    """The sums about p and q but js; ``shift`` is log E_p e^x. E_p |l| is at most kl + 2 tv, E_q |l| too."""
    mass, mean = Weighted.of(sums.mass), Weighted.of(sums.mean)
    growth = 1 + sums.excess
    tv = sums.distance / (mass.p * growth)
    kl = doubt.check("divergences", shift - mean.p, tv)
    root = torch.sqrt(growth)
    affinity_lost = sums.excess / (1 + root) - sums.root_excess
    escort_growth = mass.escort * growth
    return {
        "kl": kl,
        "kl_reverse": doubt.check("divergences", mean.q - shift, torch.maximum(tv, kl)),
        "tv": tv,
        "hellinger_sq": doubt.check(
            "divergences", affinity_lost / root, torch.where(_moved(sums.variance), 1.0, tv)
        ),
        "chi2": 4 * sums.sinh_sq_q / mass.q,
        "chi2_reverse": 4 * sums.sinh_sq_p / mass.p,
        "cosdist_p": distance_of_directions(
            2 * sums.escort_change / escort_growth, 4 * sums.sinh_sq_product / escort_growth, doubt
        ),
    }


def jensen_shannon(sums: FastSums, columns: Columns) -> tuple[Tensor, Tensor]:
    """js as a quarter of the Jeffreys divergence less a sum, and the size of the terms."""
    jeffreys = columns["kl"] + columns["kl_reverse"]
    mass = Weighted.of(sums.mass)
    log_cosh = sums.log_cosh_p / mass.p + sums.log_cosh_q / mass.q
    return 0.25 * (jeffreys - log_cosh), torch.maximum(columns["tv"], 40 * jeffreys)


def distance_of_directions(mean: Tensor, square: Tensor, doubt: Doubt) -> Tensor:
    """1 - cos(p, q) from mean and mean square of c q/p - 1 under weights p^2, for any c > 0."""
    across, along = doubt.check("divergences", square - mean * mean, 10 * square), 1 + mean
    length = torch.sqrt(along * along + across)
    return across / (length * (length + along))


def uniform_variance(sums: PairSums, vocabulary: int, doubt: Doubt) -> Tensor:
    """Variance of delta under the uniform distribution."""
    return doubt.check("variances", sums.x_spread, ABOUT_MEAN * sums.xx) / vocabulary


def shape(sums: PairSums, weighted_y: Tensor) -> Columns:
    """The columns about p alone, but for gini, and whether the largest logit is still the same."""
    mass = 1 + sums.rest
    return {
        "p_max": 1 / mass,
        "p_rest": sums.rest / mass,
        "entropy": torch.log1p(sums.rest) - weighted_y / mass,
        "margin": sums.margin,
        "top1_agree": sums.top1_agree,
    }


def vector_columns(sums: PairSums, doubt: Doubt) -> Columns:
    """The columns about z and z' as vectors; Pearson from z/T and delta, each less a constant."""
    cosdist, orthogonal_sq = _cosine(sums.zz, sums.z_step, sums.step_step, doubt)
    spread = doubt.check("vectors", sums.y_spread, ABOUT_MEAN * sums.yy)
    moved = doubt.check("vectors", sums.x_spread, ABOUT_MEAN * sums.xx)
    centred = _cosine(spread, sums.xy_spread, moved, doubt)[0]
    return {
        "cosdist_z": cosdist,
        "cosdist_z_centred": centred,
        "orthogonal_sq": orthogonal_sq,
        "parallel": sums.z_step / sums.zz,
        "norm_sq": sums.zz,
    }


def _cosine(norm_sq: Tensor, product: Tensor, step_sq: Tensor, doubt: Doubt) -> tuple[Tensor, Tensor]:
    """1 - cos(v, v + d) and ||d_perp||^2/||v||^2 from ||v||^2, <v, d> and ||d||^2 (A6)."""
    doubt.require("vectors", (norm_sq >= TINY) & ((step_sq >= TINY) | (norm_sq >= 1)))
    parallel = product / norm_sq
    relative_sq = step_sq / norm_sq
    orthogonal_sq = doubt.check("vectors", relative_sq - parallel * parallel, 10 * relative_sq)
    along = doubt.check("vectors", 1 + parallel, torch.full_like(parallel, 10.0))
    length = torch.sqrt(along * along + orthogonal_sq)
    near = orthogonal_sq / (length * (length + along))
    return torch.where(along > 0, near, 1 - along / length), orthogonal_sq
