"""Table of contents: every figure and table in the order in which it is made, with the module that makes it.

Listing and choosing figures reads this page alone; what they import takes seconds. A test holds it to the
catalogue.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One line: where the figure is made (below ``paper_figs.gallery``) and its title."""

    module: str
    title: str


CONTENTS = {
    "fig01": Entry("fig01_dropping", "Task scores against the number of dropped layers"),
    "fig02": Entry("fig02_overview", "From hidden state to text: where the perturbation grows"),
    "fig03": Entry("fig03_fig09_sparsity", "Task scores under Wanda sparsity"),
    "fig04": Entry("fig04_layerwise", "Layer-wise similarity of h, z and p when one sublayer is dropped"),
    "fig05": Entry(
        "fig05_relative_magnitude", "Relative orthogonal change of hidden state and logits at every step"
    ),
    "fig06": Entry("fig06_estimates", "Truth, estimates and certified bounds at every step"),
    "fig07": Entry("fig07_free_running", "Step-wise similarity while both models write freely"),
    "fig08": Entry("fig08_options", "Multiple-choice steps: the vocabulary and the options"),
    "fig09": Entry("fig03_fig09_sparsity", "Task scores under SparseGPT sparsity"),
    "fig10": Entry("fig10_chosen_or_written", "The same facts, chosen or written"),
    "fig11": Entry("fig11_temperature", "Truth and estimates at five temperatures"),
    "fig12": Entry("fig12_compression", "Three kinds of compression, step by step"),
    "fig13": Entry(
        "fig13_wanda_layerwise", "Layer-wise similarity of h, z and p when one sublayer is pruned by Wanda"
    ),
    "fig14": Entry("fig14_to_21_shared", "KL for each layer"),
    "fig15": Entry("fig14_to_21_shared", "1 - cos(p, q) for each layer"),
    "fig16": Entry("fig14_to_21_shared", "1 - cos of the hidden state for each layer"),
    "fig17": Entry("fig14_to_21_shared", "1 - cos of the logits for each layer"),
    "fig18": Entry("fig14_to_21_shared", "Relative orthogonal magnitude for each layer"),
    "fig19": Entry("fig14_to_21_shared", "Variance of the logit change for each layer"),
    "fig20": Entry("fig14_to_21_shared", "Weighted variance per relative change of h for each layer"),
    "fig21": Entry("fig14_to_21_shared", "Weighted variance per relative change of z for each layer"),
    "tab01": Entry("tab01_tasks", "Retrieval, multiple choice and generation under dropping"),
    "tab02": Entry("tab02_answers", "What dense and pruned models answer"),
    "tab03": Entry("tab03_prompts", "The prompts"),
    "bounds": Entry("bounds", "Sharp bounds, their witnesses, and where real perturbations lie"),
    "estimate-error": Entry("estimate_error", "Error of the estimates, measured and at worst"),
    "chains": Entry("chains", "Four ways for error to accumulate, known exactly"),
    "running-sums": Entry("running_sums", "The same skill in one token or in many"),
    "sequence-tv": Entry("sequence_tv", "Sequence total variation against the number of generated tokens"),
    "forecast": Entry("forecast", "Forecast against measurement"),
    "validation": Entry("validation", "Forecasts of many pruned models and what happened"),
    "decision-power": Entry("decision_power", "How many prompts a verdict needs"),
    "score-split": Entry("score_split", "What of the total variation can lower a score"),
    "history": Entry("history", "Direct error and history error in free running"),
    "flips": Entry("flips", "Flips of the most probable token against the margin"),
    "layer-choice": Entry("layer_choice", "Choosing sublayers by cosine, KL or TV"),
    "repair": Entry("repair", "Choosing sublayers by search, and repairing what they leave"),
    "pareto": Entry("pareto", "Drift against the parameters that are saved"),
    "quantisation-ladder": Entry(
        "quantisation_ladder", "At which quantisation does the text change, and at which the score?"
    ),
    "regime": Entry("regime", "When the softmax amplifies: amplification against entropy"),
    "centred-logits": Entry(
        "centred_logits", "Cosine of the logits, with and without the part that softmax ignores"
    ),
    "lens": Entry("lens", "The logit lens with and without the final norm"),
}
