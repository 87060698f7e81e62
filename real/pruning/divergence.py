"""What generation pays for: how far the next-token distribution moves when parts are dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from real.models.load import LanguageModel
from real.structure.drop import dropped
from real.structure.part import Part
from real.text.passes import final_hidden, head_logits, logit_slices, token_rows
from theory.terminal.console import track


class Divergence(NamedTuple):
    """Mean KL(dense || pruned) in nats and mean TV over tokens."""

    kl: float
    tv: float


def divergences(
    lm: LanguageModel, tokens: Tensor, parts: Sequence[Part], gone: Collection[Part] = ()
) -> dict[Part, Divergence]:
    """KL and TV from the model as it is to the one without each part beside ``gone``: one pass for each."""
    if not parts:
        return {}
    dense, found = states(lm, tokens), {}
    for part in track(parts, "measured divergences"):
        with dropped(lm.anatomy, [*gone, part], verify=False):
            found[part] = mean_divergence(lm, dense, states(lm, tokens))
    return found


def states(lm: LanguageModel, tokens: Tensor) -> Tensor:
    """Head inputs of all tokens ``(N, T)``, as rows ``(N * T, d)``."""
    return final_hidden(lm, tokens, token_rows(tokens)).flatten(0, 1)


def mean_divergence(lm: LanguageModel, dense: Tensor, without: Tensor) -> Divergence:
    """Of head inputs ``(n, d)``. To compare prunings, plain float32 log-probabilities do; sums in float64."""
    kl_total = tv_total = 0.0
    for rows in logit_slices(len(dense), lm.anatomy.need_head().vocabulary):
        log_p, log_q = (log_softmax(head_logits(lm, h[rows]).float(), -1) for h in (dense, without))
        kl = kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
        tv = (log_p.exp() - log_q.exp()).abs().sum(-1) / 2
        kl_total += float(kl.double().sum())
        tv_total += float(tv.double().sum())
    return Divergence(kl_total / len(dense), tv_total / len(dense))
