"""``python -m real forecast``: which kinds of task survive which pruning, before anything is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from real.commands import scores
from real.commands.options import (
    Calibration,
    Model,
    Parts,
    Prompts,
    Tokenizer,
    Variants,
    calibration_text,
    check_variants,
    overrides,
)
from real.engines.names import by_record
from theory.terminal.console import say
from theory.terminal.cost import Yes
from theory.terminal.options import Csv, Device, Dtype, Json, Limit, Seed
from theory.terminal.writing import check_outputs

if TYPE_CHECKING:
    from real.engines.mixed import Plan
    from real.pruning.calibration import Calibration as PruningCalibration
    from real.structure.anatomy import Overrides


def forecast(
    model: Model,
    specs: Variants,
    tokens: Annotated[int, typer.Option(min=1, help="Length of the text to forecast.")] = 64,
    prompts: Prompts = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Dense samples per prompt (K): 1, or 4 for a scorer.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the texts; above 0.")] = 1.0,
    calibration: Calibration = None,
    seed: Seed = 0,
    parts: Parts = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    tokenizer: Tokenizer = None,
    json_file: Json = None,
    csv_file: Csv = None,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw the curves (png, pdf, svg).")
    ] = None,
    task: scores.Task = None,
    scorer: scores.ScorerName = None,
    allow_code: scores.AllowCode = False,
    limit: Limit = None,
    epsilon: scores.Epsilon = 0.1,
    error: scores.Error = 0.05,
    until_decided: scores.UntilDecided = False,
    planned: scores.Planned = False,
    decoding: scores.GateDecoding = "greedy",
    about: scores.GateAbout = "like",
    many: scores.ManySpecs = "e-bh",
    yes: Yes = False,
) -> None:
    """Predict what pruning does, before anything is deployed; nothing is generated pruned.

    With --task: how much of a task's score is lost. Exit code 0: all safe, 1: some fails, 2: bad input, 3:
    undecided. Without: how far texts, options and rankings move. Prompts are the independent units: more
    prompts narrow the intervals, more samples per prompt hardly do.
    """
    check_outputs(json_file, csv_file, plot)
    recorded, given = by_record([model, *specs]), calibration_text(calibration)
    if recorded and given is not None:
        raise ValueError("--calibration is for models that transformers run; records are what they are")
    if planned or task:
        if recorded:
            raise ValueError(
                "--task forecasts scores of models that transformers run: of GGUF files and served models, "
                "'real evaluate' measures them"
            )
        scores.check_choices(decoding, about, many)
        check_variants(specs)
        asked = scores.Asked(
            *(model, specs, task or [], scorer, samples or 4, limit, seed, device, dtype),
            overrides(parts),
            allow_code,
            given,
            yes,
        )
        gate = scores.Gate(epsilon, error, until_decided, decoding, about, many)
        code = scores.plan(asked, gate) if planned else scores.decide(asked, gate, json_file, csv_file)
        raise typer.Exit(code)
    if not recorded:
        check_variants(specs)
    elif plot:
        raise ValueError("--plot is for models that transformers run; of records, draw the --csv")
    named = overrides(parts)
    from real.engines.mixed import Plan
    from real.forecast.text_drift import default_prompts
    from real.text.files import read_prompts

    texts = read_prompts(prompts) if prompts else default_prompts()
    plan = Plan(
        texts, tokens, samples or 1, temperature, seed, device=device, dtype=dtype, tokenizer=tokenizer
    )
    outputs = _Outputs(json_file, csv_file, plot)
    if recorded:
        _forecast_records(model, specs, plan, outputs, yes)
    else:
        _forecast_texts(model, specs, plan, named, given, outputs, yes)


@dataclass(frozen=True)
class _Outputs:
    json_file: Path | None
    csv_file: Path | None
    plot: Path | None


def _forecast_texts(
    model: str,
    specs: list[str],
    plan: Plan,
    named: Overrides,
    given: PruningCalibration,
    outputs: _Outputs,
    yes: bool,
) -> None:
    """Forecast models that transformers run."""
    from real.commands import forecast_output
    from real.commands.workload import check_texts, made
    from real.forecast.report import TextReport
    from real.forecast.text_drift import forecast as forecasts
    from real.forecast.text_drift import reference
    from real.models.load import load

    lm = load(model, plan.device, plan.dtype, named)
    check_texts(lm, plan.prompts, plan.tokens, plan.samples, 3 + made(specs, given), yes)
    dense = reference(lm, plan.prompts, plan.tokens, plan.samples, plan.temperature, plan.seed)
    found = []
    for result in forecasts(lm, specs, dense, given):
        found.append(result)
        say(f"{result.spec}: {result.kl_per_token.mean:.3f} nats per token, {result.seconds:.0f} s")
    forecast_output.show(lm, found)
    if outputs.json_file:
        forecast_output.write_json(outputs.json_file, lm, found)
    report = TextReport(lm.name, tuple(found))
    if outputs.csv_file:
        forecast_output.write_csv(outputs.csv_file, report)
    if outputs.plot:
        forecast_output.draw(outputs.plot, report)


def _forecast_records(model: str, specs: list[str], plan: Plan, outputs: _Outputs, yes: bool) -> None:
    """Forecast from records; those that are not given are made."""
    from real.commands import recorded_output
    from real.commands.workload import check_texts
    from real.engines.mixed import records
    from real.forecast.recorded import forecast_records

    check_texts(None, plan.prompts, plan.tokens, plan.samples, 1 + len(specs), yes)
    dense, others = records(model, specs, plan)
    found = [forecast_records(dense, other) for other in others]
    recorded_output.show(found)
    if outputs.json_file:
        recorded_output.write_json(outputs.json_file, found)
    if outputs.csv_file:
        recorded_output.write_csv(outputs.csv_file, found)
