"""``python -m real evaluate``: tasks with ground truth, dense beside pruned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from real.commands import scores
from real.commands.options import (
    Calibration,
    Model,
    Parts,
    Tasks,
    VariantsIfAny,
    calibration_text,
    check_variants,
    overrides,
)
from real.engines.names import GGUF, is_served, needs_engine
from real.records.record import is_record
from theory.terminal.console import say
from theory.terminal.cost import Yes
from theory.terminal.options import Csv, Device, Dtype, Limit, names
from theory.terminal.writing import check_outputs, write_table

if TYPE_CHECKING:
    import pandas as pd

    from real.models.load import LanguageModel

DEFAULT = "agreement,wikidata-choice,wikidata-answer,capitals-choice,capitals-answer,negation,copy-2,copy-8"


def evaluate(
    model: Model,
    specs: VariantsIfAny = None,
    tasks: Tasks = DEFAULT,
    limit: Limit = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions at once.")] = 16,
    calibration: Calibration = None,
    parts: Parts = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    allow_code: Annotated[
        bool, typer.Option(help="Execute programs that the models write (task functions), in a sandbox.")
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Draw so many texts per question from both models; each is read by both."),
    ] = None,
    scorer: scores.ScorerName = None,
    csv_file: Csv = None,
    yes: Yes = False,
) -> None:
    """Score tasks and count flips against the dense model. Run it again to go on after an interruption.

    With --samples: texts that both models draw are judged and weighed (Le Cam pair), task files included.

    Variants may be GGUF files and served models: the dense model's questions, answered by their own engine.
    Without variants: what the dense model can do.
    """
    served = [name for name in specs or () if needs_engine(name)]
    specs = [name for name in specs or () if name not in served]
    _refuse(model, specs)
    check_variants(specs)
    check_outputs(csv_file)
    wanted, named, given = names(tasks) or (), overrides(parts), calibration_text(calibration)
    if samples is not None or scorer is not None:
        if not specs or served:
            raise ValueError(
                "--samples and --scorer compare variants that transformers run: name at least one"
            )
        scores.compare(
            scores.Asked(
                *(model, specs, list(wanted), scorer, samples or 4, limit, 0, device, dtype, named),
                allow_code,
                given,
                yes,
            ),
            csv_file,
        )
        return
    import pandas as pd

    from real.commands.evaluate_output import show_scores
    from real.commands.workload import check_harness, made
    from real.models.load import load, load_encoder
    from real.models.registry import ENCODERS
    from real.tasks.evaluate import evaluate as tables
    from real.tasks.evaluate import require_allowed

    lm = load_encoder(model, device, dtype) if model in ENCODERS else load(model, device, dtype, named)
    if model not in ENCODERS:
        require_allowed(wanted, allow_code)
        check_harness(lm, wanted, limit, batch_size, 1 + made(specs, given) + len(served), yes)
    settings: dict[str, Any] = {
        "limit": limit,
        "batch_size": batch_size,
        "calibration": given,
        "allow_code": allow_code,
    }
    found = pd.concat(
        [
            *tables(lm, specs, wanted, **settings),
            *_engine_tables(model, lm, served, wanted, limit),
        ],
        ignore_index=True,
    )
    if csv_file:
        write_table(found, csv_file)
    show_scores(lm, found, wanted, alone=not specs and not served)


def _engine_tables(
    model: str, lm: LanguageModel, served: list[str], wanted: Sequence[str], limit: int | None
) -> Iterator[pd.DataFrame]:
    """The dense model's questions, answered by other engines."""
    from real.engines.harness import engine_answers
    from real.engines.open import open_engine

    for name in served:
        engine = open_engine(name, tokenizer=model if is_served(name) else None)
        yield engine_answers(lm, engine, wanted, limit)
        if engine.weights is not None and engine.weights == lm.provenance.get("sha256"):
            say(
                f"{name} has the weights of {lm.name} in another program: what it changes is the noise floor."
            )


def _refuse(model: str, specs: list[str]) -> None:
    """Records answer no new question; a model whose tokenizer is not here cannot ask the first one."""
    for name in (model, *specs):
        if is_record(name):
            raise ValueError(
                f"{name} is a record: it holds log-probabilities of given texts and answers no new question; "
                "'real forecast' takes it"
            )
    if needs_engine(model) and not model.endswith(GGUF):
        raise ValueError(
            f"{model!r} cannot be the dense model here, whose tokenizer asks the questions: name its folder, "
            "hub id or GGUF file, and this one as a variant"
        )
