"""Table of contents: every figure and table in the order in which it is made, with the module that makes it.

Listing and choosing figures reads this page alone; what they import takes seconds. A test holds it to the
catalogue.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One line: where the figure is made (below ``paper_figs.gallery``), its title, and its section.

    Sections are the paper's, or the subject of a figure of ours; the report groups claims by them.
    """

    module: str
    title: str
    section: str


CONTENTS = {
    "fig01": Entry("fig01_dropping", "Task scores against the number of dropped layers", "Tasks"),
    "fig02": Entry(
        "fig02_overview",
        "From hidden state to text: where the perturbation grows",
        "Representation hierarchy",
    ),
    "fig03": Entry("fig03_fig09_sparsity", "Task scores under Wanda sparsity", "Tasks"),
    "fig04": Entry(
        "fig04_layerwise",
        "Layer-wise similarity of h, z and p when one sublayer is dropped",
        "Representation hierarchy",
    ),
    "fig05": Entry(
        "fig05_relative_magnitude",
        "Relative orthogonal change of hidden state and logits at every step",
        "Representation hierarchy",
    ),
    "fig06": Entry("fig06_estimates", "Truth, estimates and certified bounds at every step", "Estimates"),
    "fig07": Entry("fig07_free_running", "Step-wise similarity while both models write freely", "Generation"),
    "fig08": Entry(
        "fig08_options", "Multiple-choice steps: the vocabulary and the options", "Multiple choice"
    ),
    "fig09": Entry("fig03_fig09_sparsity", "Task scores under SparseGPT sparsity", "Tasks"),
    "fig10": Entry("fig10_chosen_or_written", "The same facts, chosen or written", "Tasks"),
    "fig11": Entry("fig11_temperature", "Truth and estimates at five temperatures", "Estimates"),
    "fig12": Entry("fig12_compression", "Three kinds of compression, step by step", "Generation"),
    "fig13": Entry(
        "fig13_wanda_layerwise",
        "Layer-wise similarity of h, z and p when one sublayer is pruned by Wanda",
        "Representation hierarchy",
    ),
    "fig14": Entry("fig14_to_21_shared", "KL for each layer", "Estimates"),
    "fig15": Entry("fig14_to_21_shared", "1 - cos(p, q) for each layer", "Estimates"),
    "fig16": Entry("fig14_to_21_shared", "1 - cos of the hidden state for each layer", "Estimates"),
    "fig17": Entry("fig14_to_21_shared", "1 - cos of the logits for each layer", "Estimates"),
    "fig18": Entry(
        "fig14_to_21_shared", "Relative orthogonal magnitude for each layer", "Representation hierarchy"
    ),
    "fig19": Entry(
        "fig14_to_21_shared", "Variance of the logit change for each layer", "Representation hierarchy"
    ),
    "fig20": Entry(
        "fig14_to_21_shared",
        "Weighted variance per relative change of h for each layer",
        "Representation hierarchy",
    ),
    "fig21": Entry(
        "fig14_to_21_shared",
        "Weighted variance per relative change of z for each layer",
        "Representation hierarchy",
    ),
    "tab01": Entry("tab01_tasks", "Retrieval, multiple choice and generation under dropping", "Tasks"),
    "tab02": Entry("tab02_answers", "What dense and pruned models answer", "Generation"),
    "tab03": Entry("tab03_prompts", "The prompts", "Generation"),
    "bounds": Entry("bounds", "Sharp bounds, their witnesses, and where real perturbations lie", "Bounds"),
    "estimate-error": Entry("estimate_error", "Error of the estimates, measured and at worst", "Estimates"),
    "chains": Entry("chains", "Four ways for error to accumulate, known exactly", "Generation"),
    "running-sums": Entry("running_sums", "The same skill in one token or in many", "Generation"),
    "sequence-tv": Entry(
        "sequence_tv", "Sequence total variation against the number of generated tokens", "Generation"
    ),
    "forecast": Entry("forecast", "Forecast against measurement", "Forecast"),
    "validation": Entry("validation", "Forecasts of many pruned models and what happened", "Forecast"),
    "decision-power": Entry("decision_power", "How many prompts a verdict needs", "Forecast"),
    "score-split": Entry("score_split", "What of the total variation can lower a score", "Forecast"),
    "history": Entry("history", "Direct error and history error in free running", "Generation"),
    "flips": Entry("flips", "Flips of the most probable token against the margin", "Multiple choice"),
    "layer-choice": Entry("layer_choice", "Choosing sublayers by cosine, KL or TV", "Choice of layers"),
    "repair": Entry(
        "repair", "Choosing sublayers by search, and repairing what they leave", "Choice of layers"
    ),
    "pareto": Entry("pareto", "Drift against the parameters that are saved", "Choice of layers"),
    "quantisation-ladder": Entry(
        "quantisation_ladder",
        "At which quantisation does the text change, and at which the score?",
        "Forecast",
    ),
    "regime": Entry(
        "regime", "When the softmax amplifies: amplification against entropy", "Representation hierarchy"
    ),
    "centred-logits": Entry(
        "centred_logits",
        "Cosine of the logits, with and without the part that softmax ignores",
        "Representation hierarchy",
    ),
    "lens": Entry("lens", "The logit lens with and without the final norm", "Representation hierarchy"),
}
