"""Where two texts first differ: a histogram over the number of tokens, for three ways of decoding."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import torch
from torch import Tensor

from real.forecast.text_drift import Forecast, doublings


def first_divergence_table(forecast: Forecast) -> pd.DataFrame:
    """Share of texts whose first differing token lies in ``first..last``; ``first`` 0 is "none differs".

    greedy: counted exactly over the prompts (G10). shared_noise, best_coupling: forecast means (G11, G2); no
    causal coupling of two sampled texts differs later than the best one.
    """
    edges = [0, *doublings(forecast.horizon)]
    prefix, length = forecast.greedy.identical, forecast.greedy.length
    departed = torch.where(prefix < length, prefix + 1, 0)
    curves = {"shared_noise": forecast.shared_noise.mean, "best_coupling": forecast.survival.mean}
    rows = []
    for before, last in pairwise(edges):
        share = ((departed > before) & (departed <= last)).double().mean()
        falls = {name: _at(curve, before) - _at(curve, last) for name, curve in curves.items()}
        rows.append({"first": before + 1, "last": last, "greedy": float(share), **falls})
    kept = {name: _at(curve, forecast.horizon) for name, curve in curves.items()}
    rows.append({"first": 0, "last": 0, "greedy": float((departed == 0).double().mean()), **kept})
    return pd.DataFrame(rows)


def _at(curve: Tensor, n: int) -> float:
    return 1.0 if n == 0 else float(curve[n - 1])
