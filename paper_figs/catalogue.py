"""The figures and tables by id, in the order in which they are made and shown."""

from __future__ import annotations

from paper_figs.figure import Figure
from paper_figs.gallery import (
    bounds,
    centred_logits,
    chains,
    estimate_error,
    fig01_dropping,
    fig02_overview,
    fig03_fig09_sparsity,
    fig04_layerwise,
    fig05_relative_magnitude,
    fig06_estimates,
    fig07_free_running,
    fig08_options,
    fig10_chosen_or_written,
    fig11_temperature,
    fig12_compression,
    fig13_wanda_layerwise,
    fig14_to_17_estimates,
    fig18_to_21_magnitudes,
    flips,
    forecast,
    history,
    layer_choice,
    lens,
    quantisation_ladder,
    regime,
    running_sums,
    sequence_tv,
    tab01_tasks,
    tab02_answers,
    tab03_prompts,
    validation,
)

_PAPER = (
    fig02_overview.FIGURE,
    fig04_layerwise.FIGURE,
    fig05_relative_magnitude.FIGURE,
    fig06_estimates.FIGURE,
    fig07_free_running.FIGURE,
    fig08_options.FIGURE,
    fig11_temperature.FIGURE,
    fig12_compression.FIGURE,
    fig13_wanda_layerwise.FIGURE,
    fig01_dropping.FIG01,
    fig03_fig09_sparsity.FIG03,
    fig03_fig09_sparsity.FIG09,
    fig10_chosen_or_written.FIG10,
    *fig14_to_17_estimates.FIGURES,
    *fig18_to_21_magnitudes.FIGURES,
    tab01_tasks.FIGURE,
    tab02_answers.TAB02,
    tab03_prompts.TAB03,
)
_OURS = (
    bounds.FIGURE,
    estimate_error.FIGURE,
    chains.FIGURE,
    running_sums.FIGURE,
    sequence_tv.FIGURE,
    forecast.FIGURE,
    validation.FIGURE,
    history.FIGURE,
    flips.FIGURE,
    layer_choice.FIGURE,
    quantisation_ladder.FIGURE,
    regime.FIGURE,
    centred_logits.CENTRED,
    lens.LENS,
)
FIGURES: dict[str, Figure] = {
    figure.id: figure for figure in (*sorted(_PAPER, key=lambda figure: figure.id), *_OURS)
}
