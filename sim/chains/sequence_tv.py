"""Total variation between whole sequences of two chains: by enumeration, and bracketed for long sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.chains.chain import SoftmaxChain

MAX_SEQUENCES = 2**22


def sequence_tv(chain: SoftmaxChain, steps: int) -> Tensor:
    """Exact ``TV(P_n, Q_n)``, n = 1 .. ``steps``, by enumerating all ``V**steps`` sequences.

    Raises
    ------
    ValueError
        If the chain is a batch or there are more than ``MAX_SEQUENCES`` sequences.
    """
    if chain.logits.dim() != 2 or chain.vocabulary**steps > MAX_SEQUENCES:
        raise ValueError(
            f"{chain.vocabulary}**{steps} sequences; required: one chain, at most {MAX_SEQUENCES} sequences"
        )
    context = torch.tensor([chain.start])
    log_p = log_q = torch.zeros(1, dtype=torch.float64)
    tokens = torch.arange(chain.vocabulary)
    totals = []
    for _ in range(steps):
        log_p = (log_p[:, None] + chain.log_p[context]).flatten()
        log_q = (log_q[:, None] + chain.log_q[context]).flatten()
        context = chain.successor(context[:, None], tokens).flatten()
        totals.append((log_p.exp() - log_q.exp()).abs().sum() / 2)
    return torch.stack(totals)


def sequence_tv_bracket(
    chain: SoftmaxChain, steps: int, bins: int = 2001, reach: float = 40.0
) -> tuple[Tensor, Tensor]:
    """Lower and upper bound on ``TV(P_n, Q_n)``, n = 1 .. ``steps``, by dynamic programming (one chain).

    Backward recursion ``f_n(x, l) = E_p f_{n-1}(x', l q/p)``, ``f_0(l) = (1 - l)_+``, on a geometric grid
    of the likelihood ratio ``l`` in ``exp([-reach, reach])``. f is convex and decreasing in l, so between
    two nodes the chord bounds it above and the larger of the two tangents below. Cost ``steps * contexts *
    V * bins``.

    Raises
    ------
    ValueError
        If the chain is a batch.
    """
    if chain.logits.dim() != 2:
        raise ValueError(f"logits have shape {tuple(chain.logits.shape)}; required: one chain (contexts, V)")
    log_node = torch.linspace(-reach, reach, bins, dtype=torch.float64)
    node = log_node.exp()
    ratio = chain.log_ratio[..., None].exp()
    landed = node * ratio
    position = (log_node + chain.log_ratio[..., None] + reach) * (bins - 1) / (2 * reach)
    above = position.ceil().clamp(1, bins - 1).long()
    below = above - 1
    weight = ((landed - node[below]) / (node[above] - node[below])).clamp(0, 1)
    # Left of the grid the chord would undershoot: there f is only known to be at most 1.
    off_left = position < 0
    contexts = torch.arange(chain.logits.shape[0])
    following = chain.successor(contexts[:, None], torch.arange(chain.vocabulary))[..., None]
    ceiling = (1 - node).clamp_min(0).expand(len(contexts), -1)
    floor, slope = ceiling, -(node < 1).double().expand(len(contexts), -1)
    middle = (bins - 1) // 2
    lower, upper = [], []
    for _ in range(steps):
        left = floor[following, below] + slope[following, below] * (landed - node[below])
        right = floor[following, above] + slope[following, above] * (landed - node[above])
        steepness = torch.where(left >= right, slope[following, below], slope[following, above])
        tangent = torch.maximum(left, right)
        steepness = torch.where(tangent > 0, steepness, 0.0)
        chord = weight * ceiling[following, above] + (1 - weight) * ceiling[following, below]
        floor = torch.einsum("xi,xiy->xy", chain.p, tangent.clamp_min(0))
        slope = torch.einsum("xi,xiy->xy", chain.p, ratio * steepness)
        ceiling = torch.einsum("xi,xiy->xy", chain.p, torch.where(off_left, 1.0, chord))
        lower.append(floor[chain.start, middle])
        upper.append(ceiling[chain.start, middle])
    return torch.stack(lower), torch.stack(upper)
