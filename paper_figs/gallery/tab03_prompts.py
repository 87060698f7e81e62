"""Table 3: the prompts."""

from __future__ import annotations

import pandas as pd

from paper_figs.context import Context, Setup
from paper_figs.figure import Table, listed_table
from real.text.texts import prompts


def compute_prompts(context: Context) -> pd.DataFrame:
    """The twelve prompts."""
    del context
    return pd.DataFrame([{"kind": p.kind, "prompt": p.text, "answer": p.answer} for p in prompts()])


def tabulate(frame: pd.DataFrame) -> Table:
    """A line for each prompt."""
    shown = frame.assign(prompt=frame["prompt"].str.split().str.join(" "), answer=frame["answer"].fillna(""))
    rows = shown[["kind", "prompt", "answer"]].astype(str).itertuples(index=False, name=None)
    return Table(("kind", "prompt, each in the model's chat template", "right answer"), tuple(rows))


def caption_prompts(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        f"The {len(frame)} prompts, of the same three kinds as the paper's table 3 and written by us. "
        "Default and full profiles use all, the quick profile the first of each kind."
    )


def _takeaway(frame: pd.DataFrame) -> str:
    return f"{len(frame)} prompts of {frame['kind'].nunique()} kinds stand behind every trace"


TAB03 = listed_table("tab03", compute_prompts, tabulate, caption_prompts, _takeaway)
