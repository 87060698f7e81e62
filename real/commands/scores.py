"""``python -m real forecast --task``: how much of a score is lost, with an exit code for gates."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theory.names import lookup
from theory.ranks import is_first
from theory.terminal.run import FAILS, OK, UNDECIDED

if TYPE_CHECKING:
    from real.models.load import LanguageModel
    from real.pruning.calibration import Calibration
    from real.scores.forecast import Rule
    from real.structure.anatomy import Overrides
    from real.tasks.source import Scorer, TaskSource

_REGEX = "regex:"
DECODINGS = ("greedy", "sampled")
ABOUT = ("like", "these")
MANY = ("e-bh", "ladder", "each")

Task = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="A task (shipped, a public benchmark, the harness') or a file (.jsonl): questions, or a record "
        "whose texts carry a score; may be repeated.",
    ),
]
ScorerName = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        help="Judges drawn texts: file.py:function, of a text and its question, into [0, 1]; or "
        "regex:PATTERN, whose first group must be a right answer.",
    ),
]
AllowCode = Annotated[
    bool, typer.Option(help="Execute programs that the dense model writes (task functions), in a sandbox.")
]
Epsilon = Annotated[float, typer.Option(help="Loss of the score: safe at most, fails at least.")]
Error = Annotated[float, typer.Option(help="Error of each limit about prompts like these.")]
UntilDecided = Annotated[bool, typer.Option("--until-decided", help="Stop reading once it is decided.")]
Planned = Annotated[bool, typer.Option("--plan", help="Say what so many prompts can decide; load nothing.")]
GateDecoding = Annotated[str, typer.Option("--decoding", help="Of the exit code: greedy or sampled.")]
GateAbout = Annotated[
    str, typer.Option("--about", help="Of the exit code: like (prompts like these) or these.")
]
ManySpecs = Annotated[
    str, typer.Option("--many", help="Several safe together: e-bh; ladder (mild to strong); each by itself.")
]


def read_scorer(place: str) -> Scorer:
    """The function that ``file.py:function`` names, or the search for ``regex:PATTERN``.

    Raises
    ------
    ValueError
        The file cannot be read or has no such function, or the pattern is no regular expression.
    """
    if place.startswith(_REGEX):
        from real.tasks.user_file import search_scorer

        return search_scorer(place.removeprefix(_REGEX))
    file, _, name = place.rpartition(":")
    if not file or not Path(file).is_file():
        raise ValueError(f"scorer {place!r}: expected file.py:function, of a file that exists")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"scorer {place!r}: {file!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"scorer {place!r}: {file!r} raised {type(error).__name__} ({error})") from error
    found: Scorer = lookup(
        "scorer", name, {key: value for key, value in vars(module).items() if callable(value)}
    )
    return found


def check_choices(decoding: str, about: str, many: str) -> None:
    """Raise :class:`UnknownNameError` unless each is one of its names."""
    for kind, name, names in (
        ("decoding", decoding, DECODINGS),
        ("about", about, ABOUT),
        ("many", many, MANY),
    ):
        lookup(kind, name, dict.fromkeys(names))


@dataclass(frozen=True)
class Asked:
    """What is compared, on which questions."""

    model: str
    specs: list[str]
    tasks: list[str]
    scorer: str | None
    samples: int
    limit: int | None
    seed: int
    device: str
    dtype: str
    parts: Overrides
    allow_code: bool = False
    calibration: Calibration = None
    yes: bool = False

    def settings(self) -> dict[str, Any]:
        """What forecasts and comparisons take by name."""
        return {
            "scorer": read_scorer(self.scorer) if self.scorer else None,
            "samples": self.samples,
            "limit": self.limit,
            "calibration": self.calibration,
            "seed": self.seed,
            "allow_code": self.allow_code,
        }


@dataclass(frozen=True)
class Gate:
    """How a verdict is reached, and which one the exit code stands for."""

    epsilon: float
    alpha: float
    until_decided: bool
    decoding: Any
    about: Any
    many: Any

    def rule(self) -> Rule:
        """As the forecast takes it."""
        from real.scores.forecast import Rule

        return Rule(self.epsilon, self.alpha, self.until_decided)


def decide(asked: Asked, gate: Gate, json_file: Path | None, csv_file: Path | None) -> int:
    """Forecast, print, write; returns the exit code: 0 all safe, 1 some fails, 3 undecided."""
    rule = gate.rule()
    settings = asked.settings()
    from real.commands import scores_output
    from real.scores.forecast import forecast_scores
    from real.scores.verdict import Outcome
    from theory.terminal.writing import write_table

    lm, sources = _loaded(asked)
    report = forecast_scores(lm, asked.specs, sources, rule=rule, many=gate.many, **settings)
    if not is_first():
        return OK
    scores_output.show(lm, report, gate.decoding)
    if json_file:
        scores_output.write_json(json_file, lm, report, gate.decoding)
    if csv_file:
        write_table(report.frame(), csv_file)
    codes = {Outcome.SAFE: OK, Outcome.FAILS: FAILS, Outcome.UNDECIDED: UNDECIDED}
    return codes[report.outcome(gate.decoding, gate.about)]


def compare(asked: Asked, csv_file: Path | None) -> None:
    """Let both models draw, print and write how their scores differ (K7)."""
    settings = asked.settings()
    from real.commands import scores_output
    from real.scores.paired import compare_scores
    from theory.terminal.writing import write_table

    lm, sources = _loaded(asked)
    report = compare_scores(lm, asked.specs, sources, **settings)
    if is_first():
        scores_output.show(lm, report, "sampled")
        if csv_file:
            write_table(report.frame(), csv_file)


def _loaded(asked: Asked) -> tuple[LanguageModel, list[TaskSource]]:
    """The dense model, and the tasks: bad ones are refused before it is loaded."""
    from real.commands.workload import check_questions, made
    from real.models.devices import own_device
    from real.models.load import load
    from real.scores.forecast import needs_model, read_source
    from real.tasks.evaluate import require_allowed

    require_allowed(asked.tasks, asked.allow_code)
    sources = [task if needs_model(task) else read_source(task, limit=asked.limit) for task in asked.tasks]
    lm = load(asked.model, own_device(asked.device), asked.dtype, asked.parts)
    read = [read_source(one, lm, asked.limit, allow_code=asked.allow_code) for one in sources]
    counted = [replace(one, questions=one.questions[: asked.limit]) for one in read]
    check_questions(lm, counted, asked.samples, 2 + made(asked.specs, asked.calibration), asked.yes)
    return lm, read


def plan(asked: Asked, gate: Gate) -> int:
    """Print what so many prompts can decide, before anything is run (K0)."""
    rule = gate.rule()
    from real.commands import scores_output
    from real.scores.forecast import needs_model, read_source
    from real.tasks.items import task as shipped_task

    counts = [
        len(shipped_task(task).items if needs_model(task) else read_source(task, limit=asked.limit).questions)
        for task in asked.tasks
    ]
    scores_output.show_plan(rule, [min(count, asked.limit or count) for count in counts])
    return OK
