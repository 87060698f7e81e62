"""What ``python -m real forecast --task`` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from real.commands.calibrations import cells, columns, remarks
from real.models.load import LanguageModel
from real.scores.forecast import Rule
from real.scores.report import ScoreReport, ScoreVerdict, in_words
from real.scores.routes import Decoding
from real.scores.verdict import Outcome, Verdict
from theory.outside import visible
from theory.sequences.betting import lower_limit
from theory.sequences.verdicts import prompts_needed, rows_needed
from theory.terminal import console, writing
from theory.terminal.tables import plain_table

COLOUR = {Outcome.SAFE: "green", Outcome.UNDECIDED: "yellow", Outcome.FAILS: "red"}
_COUNTS = (16, 32, 48, 64, 100, 200, 400, 1000)


def show(lm: LanguageModel, report: ScoreReport, decoding: Decoding) -> None:
    """Print the verdicts on stdout."""
    title = f"{lm.name} ({lm.provenance.get('weights', 'dense')}): how much of the score is lost?"
    parts: list[Any] = [Text(visible(title), "bold")]
    for _, verdicts in groupby(report.verdicts, lambda one: (one.task, one.prompts)):
        parts.append(_table(list(verdicts)))
    parts.append(_caption(report))
    if small := sorted({one.task for one in report.verdicts if one.before.mean < report.epsilon}):
        parts.append(
            f"The dense model itself scores less than {report.epsilon:g} on {', '.join(small)}: no such loss "
            "is possible, so safe says nothing there."
        )
    if floor := max(one.noise for one in report.verdicts):
        parts.append(f"noise floor: the same weights, evaluated in two ways, move a score by {floor:.4f}")
    if any(one.explanation for one in report.verdicts):
        parts.append(_explanations(report))
    if len({one.spec for one in report.verdicts}) > 1:
        together = ", ".join(f"{one.spec} on {one.task}" for one in report.together(decoding)) or "none"
        parts.append(f"safe together ({report.many}, {decoding}, prompts like these): {together}")
    console.show(*parts, *remarks((one.spec for one in report.verdicts if one.after_calibrations), "score"))


def _table(verdicts: Sequence[ScoreVerdict]) -> Table:
    """One task's verdicts, a line for each variant and way of decoding."""
    first, chaotic = verdicts[0], any(one.after_calibrations for one in verdicts)
    table = plain_table(
        "spec", "decoding", "score", *columns(chaotic), "these prompts", "prompts like these",
        title=f"{first.task}, {first.prompts} questions", whole=3,
    )  # fmt: skip
    for one in verdicts:
        score = f"{one.before.mean:.3f} → {one.after.mean:.3f}"
        spread = cells(chaotic, one.after_calibrations, 3)
        table.add_row(one.spec, one.decoding, score, *spread, _cell(one.these), _cell(one.like))
    return table


def _explanations(report: ScoreReport) -> Table:
    table = plain_table(
        "task", "spec", "lost right", "lost wrong", "gained right", "effective prompts", "estimate",
        title="sampled texts: only lost right mass can lower a score", whole=2,
    )  # fmt: skip
    for one in report.verdicts:
        if (found := one.explanation) is not None:
            masses = (f"{value:.3f}" for value in (found.lost_right, found.lost_wrong, found.gained_right))
            quoted = "usable" if found.usable else "only its limits"
            table.add_row(one.task, one.spec, *masses, f"{found.sample_size:.0f}", quoted)
    return table


def show_plan(rule: Rule, counts: list[int]) -> None:
    """Print the price of prompts: what can be certified of a variant that changes nothing."""
    title = f"if nothing moves, {1 - rule.alpha:.0%} certain of prompts like these"
    table = plain_table("prompts", "loss certified at most", title=title)
    for count in sorted({*counts, *_COUNTS}):
        least = 1 - float(lower_limit(torch.ones(count, 1), rule.alpha))
        table.add_row(str(count), f"{least:.3f}")
    ours = rows_needed(torch.ones(1), 1 - rule.epsilon, rule.alpha)
    least = prompts_needed(rule.epsilon, rule.alpha)
    console.show(
        table,
        f"a loss of at most {rule.epsilon:g}: {ours} prompts ({least} by any method); about the "
        "listed questions themselves no number is needed where right answers are read off",
    )


def write_json(path: Path, lm: LanguageModel, report: ScoreReport, decoding: Decoding) -> None:
    """Write provenance, the rule, every verdict, and which are safe together."""
    content = {
        "model": lm.provenance,
        "epsilon": report.epsilon,
        "alpha": report.alpha,
        "many": report.many,
        "verdicts": [asdict(one) for one in report.verdicts],
        "together": [{"task": one.task, "spec": one.spec} for one in report.together(decoding)],
        "seconds": report.seconds,
    }
    writing.write_json(content, path, lambda outcome: outcome.value)


def _cell(verdict: Verdict) -> Text:
    """Outcome and loss, the limits on a line of their own."""
    word, rest = in_words(verdict).replace(" (", "\n(").split(",", 1)
    return Text.assemble((word, COLOUR[verdict.outcome]), f",{rest}")


def _caption(report: ScoreReport) -> str:
    return (
        f"safe: loss at most {report.epsilon:g}; fails: at least {report.epsilon:g}. These prompts: certain "
        "where right answers are read off. Prompts like these: each limit is wrong with probability at most "
        f"{report.alpha:.0%}."
    )
