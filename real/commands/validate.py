"""``python -m real validate`` and ``validate-texts``: does what was forecast come true?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from real.commands.options import Model, Prompts, Specs, Tasks
from real.pruning.spec import parse_spec
from theory.terminal.cost import Yes
from theory.terminal.options import Seed, names
from theory.terminal.writing import check_outputs, write_json

PROVENANCE = ("name", "weights", "dtype", "torch", "transformers")
DEFAULT = (
    "agreement,units,wikidata-choice,wikidata-answer,past-tense,capitals-answer,negation,arc_easy,"
    "lambada_openai"
)
Out = Annotated[Path, typer.Option(dir_okay=False, help="Write the comparison as JSON.")]


def validate(
    model: Model,
    specs: Specs,
    out: Out,
    tasks: Tasks = DEFAULT,
    questions: Annotated[int, typer.Option(min=2, help="Most questions of each task.")] = 200,
    answered: Annotated[int, typer.Option(min=1, help="Of them, questions really answered.")] = 50,
    samples: Annotated[int, typer.Option(min=1, help="Dense texts per question of written tasks.")] = 2,
    seed: Seed = 0,
    yes: Yes = False,
) -> None:
    """Forecast the scores of every spec, let it really answer other questions, and compare.

    Every spec and task is kept in the cache: run it again to go on after an interruption.
    """
    for spec in specs:
        parse_spec(spec)
    check_outputs(out)
    from real.commands.validate_output import rounded, score_table
    from real.commands.workload import check_questions
    from real.models.load import load
    from real.validation.outcomes import Plan, bench
    from real.validation.scores import rank_correlation, validate_scores
    from theory.terminal.console import show

    plan = Plan(tuple(specs), names(tasks) or (), questions, answered, samples, seed)
    lm = load(model)
    compared = bench(lm, plan)
    check_questions(lm, list(compared.sources.values()), samples, 1 + len(specs), yes)
    records = validate_scores(compared)
    summary = {
        "model": {key: lm.provenance.get(key) for key in PROVENANCE},
        "questions": questions,
        "answered": answered,
        "samples": samples,
        "seed": seed,
        "rank_correlation": rank_correlation(records),
        "specs": records,
    }
    write_json(rounded(summary), out)
    show(score_table(records, lm.name))


def validate_texts(
    model: Model,
    specs: Specs,
    out: Out,
    tokens: Annotated[int, typer.Option(min=1, help="Length of the text to forecast.")] = 64,
    prompts: Prompts = None,
    count: Annotated[
        int, typer.Option(min=2, help="Number of shipped prompts; every second is kept unseen.")
    ] = 32,
    samples: Annotated[int, typer.Option(min=1, help="Dense texts per unseen prompt.")] = 2,
    seed: Seed = 0,
    yes: Yes = False,
) -> None:
    """Forecast how long texts stay identical, let the pruned model write after other prompts, and compare.

    Every spec is kept in the cache: run it again to go on after an interruption.
    """
    for spec in specs:
        parse_spec(spec)
    check_outputs(out)
    from real.commands.validate_output import rounded, text_table
    from real.commands.workload import check_texts
    from real.forecast.text_drift import default_prompts
    from real.models.load import load
    from real.text.files import read_prompts
    from real.validation.texts import Plan
    from real.validation.texts import validate_texts as compare
    from theory.terminal.console import show

    texts = read_prompts(prompts) if prompts else default_prompts(count)
    lm = load(model)
    check_texts(lm, texts, tokens, samples, 2 + 2 * len(specs), yes)
    records = compare(lm, Plan(tuple(specs), tuple(texts), tokens, samples, seed))
    summary = {
        "model": {key: lm.provenance.get(key) for key in PROVENANCE},
        "tokens": tokens,
        "prompts": {"forecast": len(texts[::2]), "measured": len(texts[1::2]), "samples": samples},
        "seed": seed,
        "specs": records,
    }
    write_json(rounded(summary), out)
    show(text_table(records, lm.name))
