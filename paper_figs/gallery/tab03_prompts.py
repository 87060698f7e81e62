"""Table 3: the prompts."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Figure
from paper_figs.gallery.tab02_answers import (
    _page,
)
from real.text.texts import prompts


def compute_prompts(context: Context) -> pd.DataFrame:
    """The twelve prompts."""
    del context
    return pd.DataFrame([{"kind": p.kind, "prompt": p.text, "answer": p.answer} for p in prompts()])


def draw_prompts(frame: pd.DataFrame) -> Canvas:
    """One block for each prompt."""
    blocks = [
        (kind, " ".join(text.split())) for kind, text in zip(frame["kind"], frame["prompt"], strict=True)
    ]
    return _page(blocks, "Prompts of every trace; each in the model's chat template")


def caption_prompts(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    return (
        f"The {len(frame)} prompts, of the same three kinds as the paper's table 3 and written by us. "
        "Default and full profiles use all, the quick profile the first of each kind."
    )


TAB03 = Figure(
    "tab03",
    "The prompts",
    compute_prompts,
    draw_prompts,
    caption_prompts,
    takeaway=lambda frame: (
        f"{len(frame)} prompts of {frame['kind'].nunique()} kinds stand behind every trace"
    ),
    section="Generation",
)
