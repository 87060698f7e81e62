"""``python -m real trace``: drift of hidden states, logits and probabilities on a text, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from real.commands.structure import Device, DeviceMap, Dtype, Model, Texts, place
from real.models.load import LanguageModel, load
from real.progress import say, track
from real.pruning.spec import parse_spec
from real.structure.anatomy import KINDS
from real.text.texts import calibration_tokens, passages
from real.tracing import trace_joint, trace_sublayers
from theory import Drift, VectorDrift
from theory.files import atomic_path

SUFFIXES = (".parquet", ".csv")


def trace(
    model: Model,
    spec: Annotated[str | None, typer.Argument(help="without it every sublayer is dropped alone")] = None,
    out: Annotated[Path, typer.Option(dir_okay=False, help="table, .parquet or .csv")] = Path(
        "trace.parquet"
    ),
    text: Texts = None,
    tokens: Annotated[int, typer.Option(min=2, help="tokens of text")] = 200,
    temperature: Annotated[float, typer.Option()] = 1.0,
    final_norm: Annotated[bool, typer.Option(help="lens with the final norm")] = True,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = "cpu",
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
) -> None:
    """Measure drift at every position of a text, teacher-forced; a row per sublayer and position."""
    if out.suffix not in SUFFIXES:
        raise ValueError(f"--out must end in {' or '.join(SUFFIXES)}, got {str(out)!r}")
    parsed = None if spec is None else parse_spec(spec)
    lm = load(model, place(device, device_map), dtype)
    ids = _tokens(lm, text, tokens, seed)
    if parsed is None:
        frames = _sublayers(lm, ids, temperature, final_norm)
    else:
        joint = trace_joint(lm, [parsed], ids, temperature, seed=seed)
        frames = [_frame(str(t.spec), t.hidden, t.logits) for t in joint]
    table = pd.concat(frames, ignore_index=True)
    with atomic_path(out) as partial:
        if out.suffix == ".csv":
            table.to_csv(partial, index=False)
        else:
            table.to_parquet(partial, index=False)
    Console().print(_summary(table))
    say(f"{len(table)} rows written to {out}")


def _tokens(lm: LanguageModel, text: Path | None, count: int, seed: int) -> Tensor:
    lines = passages("perplexity") if text is None else text.read_text(encoding="utf-8").splitlines()
    return calibration_tokens(lm.tokenizer, 1, count, seed, texts=lines)


def _sublayers(lm: LanguageModel, tokens: Tensor, temperature: float, final_norm: bool) -> list[pd.DataFrame]:
    traces = trace_sublayers(lm, tokens, KINDS, temperature, final_norm)
    count = len(lm.anatomy.sublayers())
    return [_frame(str(t), t.hidden, t.logits) for t in track(traces, "sublayers", total=count)]


def _frame(spec: str, hidden: VectorDrift, logits: Drift) -> pd.DataFrame:
    states = hidden.frame().drop(columns=["i0", "i1"]).add_prefix("hidden_")
    frame = pd.concat([logits.frame().rename(columns={"i0": "row", "i1": "position"}), states], axis=1)
    frame.insert(0, "spec", spec)
    return frame


def _summary(table: pd.DataFrame) -> Table:
    """Means over positions."""
    shown = ("hidden_cosdist", "cosdist_z", "cosdist_p", "kl", "tv")
    summary = Table("spec", *shown, "same top token", title="means over positions, dense model first")
    for spec, rows in table.groupby("spec", sort=False):
        means = [f"{rows[column].mean():.4f}" for column in shown]
        summary.add_row(str(spec), *means, f"{rows['top1_agree'].mean():.1%}")
    return summary
