"""Ways to choose what goes, and ways to repair it, side by side on prompts that neither has seen.

Choices: the paper's cosine; the KL of single parts; the Gram matrix (D5); the search. Each with no repair and
with every other. The rows that tell most are measured first, so that a run that is stopped early compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from real.forecast.stepwise import DensePass, dense_pass, score_variant
from real.forecast.text_drift import by_prompt, default_prompts
from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.choose import Memory, choose_sublayers
from real.pruning.spec import Drop, parse_spec
from real.scores.forecast import read_source
from real.scores.routes import Route, route
from real.search.budget import Budget
from real.search.candidates import Candidate, as_spec
from real.search.journal import Journal
from real.search.measuring import Texts, default_texts
from real.search.search import Search, choose_by_gram, exactly, start
from real.text.own import own_tokens
from real.text.sample import sample
from real.text.texts import calibration_tokens
from theory import survival_weights_given_tv, tv_terms
from theory.fingerprint import fingerprint
from theory.terminal.console import say, track

KINDS = {"attn": ("attn",), "mlp": ("mlp",), "joint": ("attn", "mlp")}
CASES = (
    "attn:2",
    "attn:4",
    "attn:6",
    "attn:8",
    "attn:10",
    "mlp:1",
    "mlp:2",
    "mlp:3",
    "mlp:4",
    "joint:4",
    "joint:8",
)
# Choice and repair, the most telling first.
ORDER = (
    ("cosine", "none"),
    ("search", "linear"),
    ("gram", "none"),
    ("search", "none"),
    ("single", "none"),
    ("cosine", "linear"),
    ("search", "mean"),
    ("cosine", "mean"),
    ("gram", "linear"),
    ("single", "linear"),
    ("gram", "mean"),
    ("single", "mean"),
)
TASKS = ("capitals-answer", "past-tense", "wikidata-answer", "copy-2")


@dataclass(frozen=True)
class Sizes:
    """How much is read. texts × tokens: dense texts of the search. prompts × horizon: of the report.

    calibration: rows and length of shipped text, which the cosine chooses by. repair: of the model's own
    text, which repairs are fitted on. questions: of each task.
    """

    texts: int = 10
    tokens: int = 32
    prompts: int = 16
    horizon: int = 32
    calibration: tuple[int, int] = (8, 64)
    repair: tuple[int, int] = (9, 256)
    questions: int = 6


@dataclass(frozen=True)
class _Report:
    """What every pruned model is held against."""

    dense: DensePass
    tasks: tuple[Route, ...]
    calibration: Tensor


def compare(
    lm: LanguageModel, folder: Path, cases: Sequence[str] = CASES, sizes: Sizes = Sizes(), seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Measure every case, choice and repair in order of ORDER; what ``folder`` knows is not measured again.

    Yields a row each: case, choice, repair, spec, share of parameters ``saved``; per prompt of the report
    ``kl`` per token, ``tv`` of 16 tokens, ``survival`` of 1 to n tokens; per task the score ``before`` and
    ``after``; whether a repair was kept.
    """
    search = _searched(lm, folder, sizes, seed)
    journal = Journal(folder / "compared.jsonl", [lm.content, repr(sizes), seed, fingerprint(__name__)])
    report: list[_Report] = []

    def measured(spec: str) -> dict[str, Any]:
        if not report:
            report.append(_report(lm, sizes, seed))
        return _measure(lm, spec, report[0])

    for choice, repair in ORDER:
        for case in track(cases, f"{choice}, {repair}"):
            choosing = partial(_chosen, lm, search, case, choice, sizes, seed)
            chosen = journal.recall(f"{case} {choice}", choosing)
            spec = chosen if repair == "none" else f"{chosen}+{repair}"
            found = journal.recall(spec, partial(measured, spec))
            saved = _saved(lm, search, chosen, repair if found["kept"] else "none")
            yield {"case": case, "choice": choice, "repair": repair, "spec": spec, "saved": saved} | found


def _searched(lm: LanguageModel, folder: Path, sizes: Sizes, seed: int) -> Search:
    texts = Texts(lm, default_texts()[: sizes.texts], sizes.tokens, Budget("kl", 1.0), seed)
    return start(lm, texts, ("attn", "mlp"), "parameters", folder, [repr(sizes), seed])


def _chosen(lm: LanguageModel, search: Search, case: str, choice: str, sizes: Sizes, seed: int) -> str:
    """The spec of the parts that one choice drops."""
    target, _, count = case.partition(":")
    if choice == "cosine":
        rows = calibration_tokens(lm.tokenizer, *sizes.calibration, seed)
        return as_spec(choose_sublayers(lm, case, rows, memory=Memory()).parts)
    among = restricted(search, KINDS[target])
    if choice == "single":
        return as_spec(sorted(among.candidates, key=lambda part: among.measured([part]).drift)[: int(count)])
    if choice == "gram":
        return as_spec(choose_by_gram(among, int(count)))
    return exactly(among, int(count)).spec


def _saved(lm: LanguageModel, search: Search, chosen: str, repair: str) -> float:
    """Share of all parameters that is gone, less those that the repair brings: W and b, or b."""
    width = int(lm.model.config.get_text_config().hidden_size)
    cost = {"none": 0, "mean": width, "linear": width * (width + 1)}[repair]
    parts = [part for part in search.candidates if part.layer in listed(chosen, part.kind)]
    total = sum(p.numel() for p in lm.model.parameters())
    return sum(search.savings[part] - cost / total for part in parts)


def listed(spec: str, kind: str) -> set[int]:
    """Layers whose part of that kind a spec of listed parts drops."""
    return {
        layer
        for step in parse_spec(spec).steps
        if isinstance(step, Drop) and step.target == kind
        for layer in step.layers or ()
    }


def restricted(search: Search, kinds: Sequence[str]) -> Search:
    """The same search among parts of some kinds."""
    index = [place for place, part in enumerate(search.candidates) if part.kind in kinds]
    parts: tuple[Candidate, ...] = tuple(search.candidates[place] for place in index)
    return replace(search, candidates=parts, gram=search.gram[index][:, index])


def _report(lm: LanguageModel, sizes: Sizes, seed: int) -> _Report:
    dense = dense_pass(lm, sample(lm, default_prompts(sizes.prompts), sizes.horizon, seed=seed + 1))
    tasks = tuple(one for name in TASKS if (one := _asked(lm, name, sizes.questions)) is not None)
    return _Report(dense, tasks, own_tokens(lm, *sizes.repair, seed))


def _asked(lm: LanguageModel, name: str, questions: int) -> Route | None:
    """Some questions of a task as the dense model answers them; None where it cannot write its answers."""
    source = read_source(name)
    few = source.questions[:: max(1, len(source.questions) // questions)][:questions]
    try:
        return route(lm, replace(source, questions=few))
    except ValueError as error:
        say(f"left out: {error}")
        return None


def _measure(lm: LanguageModel, spec: str, report: _Report) -> dict[str, Any]:
    samples = report.dense.samples
    with pruned(lm, spec, report.calibration) as applied:
        scores = score_variant(lm, report.dense, lm)
        tasks = {one.source.name: _score(lm, one) for one in report.tasks}
    kl = (scores.kl * scores.live).sum(1, keepdim=True) / scores.live.sum(1, keepdim=True)
    survival = survival_weights_given_tv(scores.log_ratio, scores.tv)
    kept = [fact["kept"] for fact in applied.facts if "kept" in fact]
    return {
        "kl": by_prompt(kl, samples)[:, 0].tolist(),
        "tv": by_prompt(tv_terms(scores.log_ratio)[:, min(16, samples.horizon) - 1 :][:, :1], samples)[
            :, 0
        ].tolist(),
        "survival": by_prompt(survival, samples).tolist(),
        "tasks": tasks,
        "kept": all(kept),
    }


def _score(lm: LanguageModel, task: Route) -> dict[str, Any]:
    """Resolved scores of sampled answers, and the change question by question."""
    evidence = task.evidence([task.read(lm, 0, len(task.source.questions))])["sampled"]
    change = (evidence.plus - evidence.minus) / 2
    return {"before": evidence.before.mean, "after": evidence.after.mean, "change": change.tolist()}
