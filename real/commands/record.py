"""``python -m real record``: texts with the log-probability of every token, from any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Prompts, Tokenizer
from theory.terminal.console import say
from theory.terminal.cost import Yes
from theory.terminal.options import Device, Dtype, Seed

Cut = typer.Option(help="Cut of the laws that are drawn from; off unless given.")


def record(
    model: Annotated[
        str,
        typer.Argument(
            help="name, hub id or folder; FILE.gguf or smollm2-135m@Q4_K_M (llama.cpp); a server's "
            "http://HOST:PORT/v1#name",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="New record, JSON Lines.")],
    texts: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Score the texts of this record instead.")
    ] = None,
    prompts: Prompts = None,
    tokens: Annotated[int, typer.Option(min=1, help="Longest text to draw.")] = 64,
    samples: Annotated[int, typer.Option(min=1, help="Texts per prompt (K).")] = 1,
    top: Annotated[
        int | None, typer.Option(min=0, help="Most likely tokens kept per step; default 0, or as in --texts.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 1.0,
    top_k: Annotated[int | None, Cut] = None,
    top_p: Annotated[float | None, Cut] = None,
    min_p: Annotated[float | None, Cut] = None,
    repetition_penalty: Annotated[float, typer.Option(help="1 is none.")] = 1.0,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tokenizer: Tokenizer = None,
    yes: Yes = False,
) -> None:
    """Let a model write texts, or score another record's texts, and keep every token's log-probability.

    Run it again to go on after an interruption. Then: ``python -m real forecast dense.jsonl other.jsonl``.
    """
    from real.commands.workload import check_texts
    from real.engines import open_engine
    from real.engines.hugging_face import HuggingFaceEngine
    from real.engines.recording import draw_record, score_record
    from real.forecast.text_drift import default_prompts
    from real.records import Decoding
    from real.text.files import read_prompts

    decoding = Decoding(temperature, top_k, top_p, min_p, repetition_penalty)
    if texts is not None and (decoding != Decoding() or samples != 1 or prompts is not None):
        raise ValueError("--texts brings its own prompts and decoding: leave the options for drawing away")
    engine = open_engine(model, device, dtype, tokenizer)
    if texts is None:
        chosen = read_prompts(prompts) if prompts else default_prompts()
        lm = engine.lm if isinstance(engine, HuggingFaceEngine) else None
        check_texts(lm, chosen, tokens, samples, 1, yes)
        done = draw_record(
            engine, chosen, out, tokens=tokens, samples=samples, decoding=decoding, seed=seed, top=top or 0
        )
    else:
        done = score_record(engine, texts, out, top=top)
    kept = f", {done.kept} of them from before" if done.kept else ""
    say(f"{out}: {done.kept + done.written} texts{kept}, {engine.description}")
