"""``python -m real trace``: drift of hidden states, logits and probabilities on a text, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import DeviceMap, Model, Parts, overrides, place
from real.pruning.spec import parse_spec
from theory.terminal.console import say, show
from theory.terminal.cost import Yes
from theory.terminal.options import Device, Dtype, Seed
from theory.terminal.writing import check_table_path, write_table


def trace(
    model: Model,
    spec: Annotated[str | None, typer.Argument(help="without it every sublayer is dropped alone")] = None,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Table to write: .csv or .parquet.")] = Path(
        "trace.parquet"
    ),
    text: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Text, one passage per line; default: shipped."),
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of text.")] = 200,
    temperature: Annotated[float, typer.Option(help="Of the softmax; above 0.")] = 1.0,
    final_norm: Annotated[bool, typer.Option(help="Lens with the final norm.")] = True,
    seed: Seed = 0,
    parts: Parts = None,
    device: Device = "cpu",
    device_map: DeviceMap = None,
    dtype: Dtype = "float32",
    yes: Yes = False,
) -> None:
    """Measure drift at every position of a text, teacher-forced; a row per sublayer and position."""
    check_table_path(out)
    parsed, named = None if spec is None else parse_spec(spec), overrides(parts)
    import pandas as pd

    from real.commands.trace_output import drift_frame, sublayer_frames, summary_table, text_tokens
    from real.commands.workload import check_trace
    from real.models.load import load
    from real.tracing import trace_joint

    lm = load(model, place(device, device_map), dtype, named)
    ids = text_tokens(lm, text, tokens, seed)
    check_trace(lm, tokens, 1 if parsed else len(lm.anatomy.sublayers()), yes)
    if parsed is None:
        frames = sublayer_frames(lm, ids, temperature, final_norm)
    else:
        joint = trace_joint(lm, [parsed], ids, temperature, seed=seed)
        frames = [drift_frame(str(t.spec), t.hidden, t.logits) for t in joint]
    table = pd.concat(frames, ignore_index=True)
    write_table(table, out)
    show(summary_table(table))
    say(f"{len(table)} rows written to {out}")
