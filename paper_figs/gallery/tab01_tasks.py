"""Table 1: retrieval, multiple choice and generation, dense and with sublayers dropped."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Table, listed_table
from paper_figs.judging import count_passed, percent, untested
from paper_figs.kept import COLUMNS as KEPT
from paper_figs.kept import add_kept, kept_of_graded, kept_share, left_out
from paper_figs.limits import Limits, student
from paper_figs.measured import scores

TASK_SPECS = {"dense": "dense", "attn:8": "attention", "mlp:8": "MLP"}
# A third of the encoder's six layers, beside 8 of 30 of the language model.
RETRIEVAL_SPECS = {"dense": "dense", "attn:2": "attention", "mlp:2": "MLP"}
GAP = 0.1  # kept share by which generation must be worse off
PAPER = {
    "retrieval": (58.9, 53.4, 56.8),
    "multiple choice": (69.3, 69.8, 64.3),
    "generation": (22.3, 13.2, 0.8),
}
HEADER = {"dense": "dense", "attention": "attention dropped", "MLP": "MLP dropped"}
CUTOFF = 10  # of nDCG


def compute(context: Context) -> pd.DataFrame:
    """One row for each task and column of the table, then the paper's."""
    specs = [spec for spec in TASK_SPECS if spec != "dense"]
    table = add_kept(context.recall(scores.summary, specs=specs), context.setup.seed)
    kinds = dict.fromkeys(scores.CHOICE, "multiple choice") | dict.fromkeys(scores.GENERATION, "generation")
    tasks = table.assign(kind=table["task"].map(kinds), column=table["spec"].map(TASK_SPECS))
    theirs = [
        {"kind": kind, "task": "paper's mean", "column": column, "score": value / 100, "source": "paper"}
        for kind, values in PAPER.items()
        for column, value in zip(TASK_SPECS.values(), values, strict=True)
    ]
    ours = pd.concat([_retrieval(context), tasks], ignore_index=True).assign(source=context.setup.model)
    return pd.concat([ours, pd.DataFrame(theirs)], ignore_index=True)


def _retrieval(context: Context) -> pd.DataFrame:
    found = context.recall(scores.retrieval, specs=list(RETRIEVAL_SPECS))
    by_spec = {str(spec): part["ndcg"].to_numpy() for spec, part in found.groupby("spec")}
    count = len(by_spec["dense"])
    # A ranking at random puts the one right passage at each rank with probability 1/count.
    chance = float((1 / np.log2(np.arange(2, min(count, CUTOFF) + 2))).sum() / count)
    rows = []
    for spec, column in RETRIEVAL_SPECS.items():
        mean = student(by_spec[spec])
        kept = kept_of_graded(by_spec["dense"], by_spec[spec], chance, context.setup.seed)
        row = {"spec": spec, "column": column, "score": mean.value, "lower": mean.low, "upper": mean.high}
        row |= {"n": count, "chance": chance}
        row |= dict(zip(KEPT, (kept.value, kept.low, kept.high), strict=True)) if kept else {}
        rows.append(row)
    return pd.DataFrame(rows).assign(kind="retrieval", task="first words → last words")


def tabulate(frame: pd.DataFrame) -> Table:
    """A line for each task: kind, task, items, chance, then score with limits in each column."""
    rows = []
    for (kind, task), part in frame.groupby(["kind", "task"], sort=False):
        first = part.iloc[0]
        chance = "" if pd.isna(first["chance"]) else f"{100 * first['chance']:.0f}"
        items = "" if pd.isna(first["n"]) else f"{first['n']:.0f}"
        found = [_cell(part[part["column"] == column].iloc[0]) for column in TASK_SPECS.values()]
        rows.append((str(kind), scores.WORDS.get(str(task), str(task)), items, chance, *found))
    return Table(("kind", "task", "items", "chance", *HEADER.values()), tuple(rows))


def _cell(row: pd.Series) -> str:
    score = f"{100 * row['score']:.1f}"
    if pd.isna(row["lower"]):
        return score
    kept = "" if row["column"] == "dense" or pd.isna(row["kept"]) else f", keeps {row['kept']:.0%}"
    return f"{score} [{100 * row['lower']:.0f}, {100 * row['upper']:.0f}]{kept}"


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's table."""
    return (
        f"Per cent, with 95 % limits; keeps: the share of the dense score above chance "
        "that is left. Retrieval: nDCG@{CUTOFF} of {setup.encoder} (the first words of a passage "
        f"must find its last words), {' and '.join(list(RETRIEVAL_SPECS)[1:])} dropped. Multiple choice and "
        f"generation: {setup.model}, {' and '.join(list(TASK_SPECS)[1:])} dropped. The paper's rows: "
        "E5-Mistral on BEIR and Mistral-7B-Instruct on twelve benchmarks, 8 of 32 layers dropped. "
        f"{left_out(setup.model)}"
    )


def _kept(frame: pd.DataFrame) -> dict[str, dict[str, Limits]]:
    """Kept share above chance for each dropped column and kind that says something."""
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    found: dict[str, dict[str, Limits]] = {}
    for (column, kind), rows in ours[ours["column"] != "dense"].groupby(["column", "kind"], sort=False):
        kept = kept_share(rows)
        if kept is not None:
            found.setdefault(str(column), {})[str(kind)] = kept
    return found


def _generation_loses_most(frame: pd.DataFrame) -> Finding:
    kept = {column: kinds for column, kinds in _kept(frame).items() if len(kinds) == len(PAPER)}
    if not kept:
        return untested("the dense model is not certainly above chance on every kind of task")
    conditions = [
        (kinds[other] - kinds["generation"]).above(GAP)
        for kinds in kept.values()
        for other in ("retrieval", "multiple choice")
    ]
    words = "; ".join(
        f"{column}: " + ", ".join(f"{kind} {percent(one)}" for kind, one in kinds.items())
        for column, kinds in kept.items()
    )
    return count_passed(conditions, f"kept above chance, {words}")


def _takeaway(frame: pd.DataFrame) -> str:
    words = [
        f"{column} dropped keeps " + ", ".join(f"{one.value:.0%} of {kind}" for kind, one in kinds.items())
        for column, kinds in _kept(frame).items()
    ]
    return "Above chance, " + "; ".join(words) if words else "The dense model is not certainly above chance"


CLAIMS = (
    Claim(
        "Retrieval and multiple choice keep most of their score, generation does not.",
        "paper, table 1",
        f"Kept share above chance (as in figure 1) of generation at least {100 * GAP:.0f} points below "
        "that of "
        "retrieval and of multiple choice, with attention and with MLP sublayers dropped: all four hold, "
        "some partly.",
        _generation_loses_most,
    ),
)
FIGURE = listed_table("tab01", compute, tabulate, caption, _takeaway, CLAIMS)
