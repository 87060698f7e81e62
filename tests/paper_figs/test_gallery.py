"""Every figure from end to end on a language model of a few thousand random weights."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from transformers import BertConfig, BertModel

from paper_figs.catalogue import FIGURES
from paper_figs.context import Context, Setup
from paper_figs.figure import Table, Verdict, Whose
from paper_figs.measured import pruned, sublayers, texts
from paper_figs.output import drawing, findings, takeaway
from paper_figs.profiles import PROFILES
from paper_figs.style import paper_style
from tests.real.conftest import tiny_language_model

HOSTILE_NAME = r"_m$\frac^2$"
PROFILE = replace(
    PROFILES["quick"],
    name="test",
    tokens=3,
    steps=6,
    free_steps=5,
    samples=2,
    sample_tokens=4,
    answer_tokens=6,
    calibration=(1, 32),
    measured_calibration=(1, 8),
    items=2,
    ladder=(0, 2),
)


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    """A context whose models are local folders, as a user's would be."""
    encoder, folder = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("models") / HOSTILE_NAME
    # With this seed no sampled text ends at once.
    tiny = tiny_language_model(seed=1, num_hidden_layers=12, max_position_embeddings=512)
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    small = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=258, pad_token_id=0, **small)).save_pretrained(encoder)
    tiny.tokenizer.save_pretrained(encoder)
    setup = Setup(str(folder), str(encoder), 0, "cpu", PROFILE)
    return Context(setup, tmp_path_factory.mktemp("results"))


@pytest.fixture(autouse=True)
def instant_answers(monkeypatch):
    """Task answers without the evaluation harness, which has tests of its own and takes minutes."""

    def answer(lm, spec, tasks, *_):
        random = np.random.default_rng(len(spec))
        rows = [
            {"task": task, "item": item, "prediction": str(item), "correct": float(random.random() < 0.7)}
            for task in tasks
            for item in range(10)
        ]
        return pd.DataFrame(rows).assign(model=lm.name, spec=spec)

    monkeypatch.setattr("paper_figs.measured.scores.answer", answer)


def assert_nothing_overlaps(canvas: Canvas) -> None:
    """Heading, legends and titles fit the page; legends and titles cover no other text."""
    heading = canvas.texts[-1].get_window_extent()
    assert heading.x0 >= 0
    assert heading.x1 <= canvas.bbox.x1
    titles = [axis.title.get_window_extent() for axis in canvas.axes if axis.get_title()]
    for one, other in combinations(titles, 2):
        assert not one.overlaps(other)
    assert all(title.x1 <= canvas.bbox.x1 for title in titles)
    for legend in canvas.legends:
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= canvas.bbox.x1
        assert not any(box.overlaps(other) for other in (heading, *titles))


def assert_names_are_text(canvas: Canvas) -> None:
    """The model's name would be an error as mathematics, and its first letter leaves labels out."""
    for text in canvas.findobj(Text):
        if HOSTILE_NAME[1:] in text.get_text().replace(r"\$", "$"):
            shown, math = text._preprocess_math(text.get_text())
            assert not math
            assert HOSTILE_NAME in shown


def assert_cells_are_full(table: Table) -> None:
    """Every row has a cell for each column, and a text to begin with."""
    assert table.rows
    for row in table.rows:
        assert len(row) == len(table.header)
        assert row[0]
        assert not {"nan", "None", "<NA>"} & set(row)


@pytest.mark.parametrize("name", list(FIGURES))
def test_figure_computes_draws_and_judges(name, context):
    figure = FIGURES[name]
    frame, _ = context.recall_with_provenance(figure.compute)
    assert len(frame)
    before = frame.copy()
    if figure.table:
        assert_cells_are_full(figure.table(frame))
    else:
        with paper_style():
            canvas = drawing(figure, frame, takeaway(figure, frame))
            canvas.savefig(io.BytesIO(), format="png", dpi=40)
        assert_nothing_overlaps(canvas)
        assert_names_are_text(canvas)
    pd.testing.assert_frame_equal(frame, before)  # drawing does not touch the data
    assert len(figure.caption(frame, context.setup)) > 60
    assert "None" not in figure.caption(frame, context.setup)
    assert 20 < len(takeaway(figure, frame)) < 260
    assert figure.section
    for finding in findings(figure, frame):
        assert finding["evidence"]
        assert finding["verdict"] != Verdict.CONTRADICTED
        theorem = finding["whose"] == Whose.THEOREM
        assert theorem == (finding["verdict"] == Verdict.AS_PROVED) or finding["verdict"] == Verdict.UNTESTED


def test_a_model_against_itself_does_not_drift(context):
    table = context.recall(pruned.joint, specs=["dense"])
    assert (table[["kl", "tv", "cosdist_p", "h_cosdist", "oscillation"]] == 0).all(axis=None)


def test_sequence_estimates_of_the_dense_model_against_itself_are_zero(context):
    table = context.recall(pruned.sequence_drift, specs=["dense"], level=0.95)
    assert (table[["tv", "divergence", "tv_lower"]] == 0).all(axis=None)


def test_only_positions_that_predict_a_generated_token_are_measured(context):
    samples = texts.long_text(context)
    positions = texts.predicting(samples)
    assert int(positions.sum()) == int((samples.lengths - samples.prompt_lengths).sum())
    assert bool(positions[0, samples.prompt_lengths[0] - 1])


def test_ranked_layers_are_those_that_the_spec_drops(context):
    order = context.recall(pruned.ranking, target="attn", criterion="cosine")
    assert sorted(order["layer"]) == list(range(12))
    assert order["score"].is_monotonic_increasing
    first, second = sorted(order["layer"][:2])
    assert str(pruned.resolve(context, "attn:2+int8")) == f"attn:[{first},{second}]+int8"
    assert str(pruned.resolve(context, "dense")) == "dense"


def test_figure_4_gives_back_the_extremes_of_the_trace(context):
    frame = context.recall(FIGURES["fig04"].compute)
    trace = context.recall(sublayers.sublayers)
    row = frame[frame["source"] == context.setup.model].query("kind == 'mlp' and layer == 5 and space == 'p'")
    part = trace.query("kind == 'mlp' and layer == 5")["cosdist_p"]
    np.testing.assert_allclose(row["low"].min(), 1 - part.max())
    np.testing.assert_allclose(row["high"].max(), 1 - part.min())
    assert row["count"].sum() == len(part)


def test_total_variation_is_drawn_nondecreasing_inside_a_nondecreasing_band(context):
    frame = context.recall(FIGURES["sequence-tv"].compute)
    for _, part in frame.groupby("spec"):
        for column in ("tv", "tv_lower", "tv_upper", "divergence"):
            assert part.sort_values("n")[column].is_monotonic_increasing
        assert (part["tv_lower"] <= part["tv"]).all()
        assert (part["tv"] <= part["tv_upper"]).all()
