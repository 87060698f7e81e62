"""The tables of ``python -m real trace``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.table import Table
from torch import Tensor

from real.models.load import LanguageModel
from real.structure.anatomy import KINDS
from real.text.files import read_lines
from real.text.texts import calibration_tokens, passages
from real.tracing import trace_sublayers
from theory import Drift, VectorDrift
from theory.terminal.console import track
from theory.terminal.tables import plain_table


def text_tokens(lm: LanguageModel, text: Path | None, count: int, seed: int) -> Tensor:
    if count > lm.context_length:
        raise ValueError(f"--tokens {count} exceeds the context of {lm.name} ({lm.context_length} tokens)")
    lines = passages("perplexity") if text is None else read_lines(text)
    return calibration_tokens(lm.tokenizer, 1, count, seed, texts=lines)


def sublayer_frames(
    lm: LanguageModel, tokens: Tensor, temperature: float, final_norm: bool
) -> list[pd.DataFrame]:
    traces = trace_sublayers(lm, tokens, KINDS, temperature, final_norm)
    count = len(lm.anatomy.sublayers())
    return [drift_frame(str(t), t.hidden, t.logits) for t in track(traces, "sublayers", total=count)]


def drift_frame(spec: str, hidden: VectorDrift, logits: Drift) -> pd.DataFrame:
    states = hidden.frame().drop(columns=["i0", "i1"]).add_prefix("hidden_")
    frame = pd.concat([logits.frame().rename(columns={"i0": "row", "i1": "position"}), states], axis=1)
    frame.insert(0, "spec", spec)
    return frame


def summary_table(table: pd.DataFrame) -> Table:
    """Means over positions."""
    shown = ("hidden_cosdist", "cosdist_z", "cosdist_p", "kl", "tv")
    headers = ("1 - cos h", "1 - cos z", "1 - cos p", "KL", "TV", "same top token")
    summary = plain_table("spec", *headers, title="means over positions, dense model first")
    for spec, rows in table.groupby("spec", sort=False):
        means = [f"{rows[column].mean():.4f}" for column in shown]
        summary.add_row(str(spec), *means, f"{rows['top1_agree'].mean():.1%}")
    return summary
