"""Table 1: retrieval, multiple choice and generation, dense and with sublayers dropped."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, Verdict
from paper_figs.judging import cell, count_passed
from paper_figs.measured import scores
from paper_figs.style import PAGE

TASK_SPECS = {"dense": "dense", "attn:8": "attention", "mlp:8": "MLP"}
# A third of the encoder's six layers, beside 8 of 30 of the language model.
RETRIEVAL_SPECS = {"dense": "dense", "attn:2": "attention", "mlp:2": "MLP"}
COLUMNS = tuple(TASK_SPECS.values())


def compute(context: Context) -> pd.DataFrame:
    """One row for each task and column of the table."""
    table = context.recall(scores.summary, specs=[spec for spec in TASK_SPECS if spec != "dense"])
    kinds = dict.fromkeys(scores.CHOICE, "multiple choice") | dict.fromkeys(scores.GENERATION, "generation")
    tasks = table.assign(kind=table["task"].map(kinds), column=table["spec"].map(TASK_SPECS))
    ranks = context.recall(scores.retrieval, specs=list(RETRIEVAL_SPECS)).groupby("spec")["ndcg"]
    found = ranks.agg(score="mean", error="sem", n="size").reset_index()
    found = found.assign(
        kind="retrieval", task="first words → last words", column=found["spec"].map(RETRIEVAL_SPECS)
    )
    return pd.concat([found, tasks], ignore_index=True).assign(source=context.setup.model)


def draw(frame: pd.DataFrame) -> Canvas:
    """A table with one line for each task."""
    order = frame.drop_duplicates(["kind", "task"])
    cells = []
    for kind, task in zip(order["kind"], order["task"], strict=True):
        row = frame[(frame["kind"] == kind) & (frame["task"] == task)].set_index("column")["score"]
        cells.append([kind, task, *(f"{100 * row[column]:.1f}" for column in COLUMNS)])
    canvas = Canvas(figsize=(PAGE, 0.22 * (len(cells) + 2)), layout="constrained")
    axis = canvas.subplots()
    axis.axis("off")
    header = ["kind", "task", "dense", "attention dropped", "MLP dropped"]
    table = axis.table(
        cells,
        colLabels=header,
        loc="center",
        cellLoc="left",
        edges="horizontal",
        colWidths=[0.18, 0.3, 0.12, 0.2, 0.2],
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    for (row, _), box in table.get_celld().items():
        box.set_linewidth(0.4)
        if row == 0:
            box.set_text_props(weight="bold", ha="left")
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's table."""
    ranks = frame[frame["kind"] == "retrieval"]
    return (
        f"Per cent. Retrieval: nDCG@10 of {setup.encoder} over {int(ranks['n'].max())} passages (the first "
        f"words of a passage must find its last words), {' and '.join(list(RETRIEVAL_SPECS)[1:])} dropped. "
        f"Multiple choice and generation: {setup.model}, {setup.profile.choice_items} and "
        f"{setup.profile.items} items per task, "
        f"{' and '.join(list(TASK_SPECS)[1:])} dropped; intervals in the CSV. The paper: E5-Mistral on BEIR "
        "and Mistral-7B-Instruct on twelve benchmarks, 8 of 32 layers dropped: retrieval 58.9/53.4/56.8, "
        "multiple choice 69.3/69.8/64.3, generation 22.3/13.2/0.8 (dense/attention/MLP)."
    )


def _generation_loses_most(frame: pd.DataFrame) -> Finding:
    means = frame.pivot_table(index="kind", columns="column", values="score")
    kept = means[["attention", "MLP"]].div(means["dense"], axis=0)
    words = "; ".join(f"{kind} {row['attention']:.0%}/{row['MLP']:.0%}" for kind, row in kept.iterrows())
    passed = []
    for column in ("attention", "MLP"):
        others = min(cell(kept, kind, column) for kind in ("retrieval", "multiple choice"))
        passed.append(cell(kept, "generation", column) < others - 0.1)
    if kept.isna().any(axis=None):
        return Finding(
            Verdict.FAILS, "cannot be judged: the dense model itself scores nothing on a kind of task"
        )
    return count_passed(passed, f"kept share of the dense score, attention/MLP: {words}")


FIGURE = Figure(
    id="tab01",
    title="Retrieval, multiple choice and generation under dropping",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "Retrieval and multiple choice keep most of their score, generation does not.",
            "paper, table 1",
            "Kept share of the dense score in generation at least 10 points below both others: for "
            "attention and MLP holds, for one partly.",
            _generation_loses_most,
        ),
    ),
)
