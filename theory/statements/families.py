"""Every family of theorems: a new file joins its folder's face, a new folder joins this list."""

from __future__ import annotations

from theory.statements import (
    a_identities,
    b_oscillation,
    c9_best_interval,
    c_variance,
    d_weights,
    e_temperature,
    f_noise,
    g_sequences,
    h_choices,
    i_floating_point,
    j_forecast,
    k_scores,
    paper,
)
from theory.theorems.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *a_identities.THEOREMS,
    *b_oscillation.THEOREMS,
    *c_variance.THEOREMS,
    *d_weights.THEOREMS,
    *e_temperature.THEOREMS,
    *f_noise.THEOREMS,
    *g_sequences.THEOREMS,
    *h_choices.THEOREMS,
    *j_forecast.THEOREMS,
    *k_scores.THEOREMS,
    *c9_best_interval.THEOREMS,
    *i_floating_point.THEOREMS,
    *paper.THEOREMS,
)
