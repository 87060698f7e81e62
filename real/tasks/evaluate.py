"""Measure tasks with ground truth through lm-evaluation-harness, item by item, dense beside pruned.

Every answer is kept in a small database as soon as it is known, so an interrupted run goes on where it
stopped. Accuracy alone hides what pruning does: the tables also say which items turned from right to wrong
and from wrong to right, and how often the two models give the same answer.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pandas as pd
from lm_eval.api.model import CachingLM
from lm_eval.tasks import TaskManager
from scipy.special import softmax
from scipy.stats import binomtest

from real.cache import cache_folder
from real.models.load import LanguageModel
from real.pruning.calibration import Calibration
from real.pruning.choose import Memory
from real.pruning.variants import variant
from real.tasks.drafted import DraftedLM, Drafts
from real.tasks.harness import CHOICE_ONLY, harness_task
from real.tasks.items import TASKS, task
from real.tasks.retrieval import RETRIEVAL, retrieval_rows
from real.tasks.sandbox import require_sandbox
from theory.names import lookup
from theory.terminal.console import say, track

DENSE = "dense"
_RESAMPLES = 2000
_FEWSHOT_SEED = 1234
_METRICS = ("acc_norm", "acc", "exact_match", "f1", "em")


def evaluate(
    lm: LanguageModel,
    specs: Sequence[str],
    tasks: Sequence[str],
    *,
    limit: int | None = None,
    batch_size: int = 16,
    choice_only: bool = True,
    calibration: Calibration = None,
    folder: Path | None = None,
    allow_code: bool = False,
) -> Iterator[pd.DataFrame]:
    """Yield one table of items for the dense model and one for every spec.

    Columns: model, spec, task, item, prediction, correct (score of the item in [0, 1]), and for multiple
    choice probabilities (softmax of what the options are compared by). ``tasks`` are names
    in ``TASKS``, "retrieval" (nDCG@10) or names of the harness. With ``choice_only`` the dense model also
    answers every shipped multiple-choice task without seeing the question. Answers are kept in ``folder``
    (default: the cache). With ``allow_code`` programs that the models write are executed, in the sandbox of
    :mod:`real.tasks.sandbox`.

    Raises
    ------
    UnknownNameError, ValueError
        A task does not exist, none is named, ``limit`` is below 1, or a task needs ``allow_code``.
    SandboxUnavailableError
        Programs are to be executed and there is no isolation for them here.
    """
    if not tasks:
        raise ValueError(f"tasks are empty: name at least one of {', '.join(TASKS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if names := [name for name in tasks if name in TASKS and task(name).kind == "code"]:
        if not allow_code:
            raise ValueError(
                f"task {names[0]!r} executes programs that the model writes, in a sandbox: ask for it by "
                "allow_code=True, on the command line --allow-code"
            )
        require_sandbox()
    manager = task_manager(tasks)
    folder = folder or cache_folder() / "answers"
    baselines = [f"{name}/{CHOICE_ONLY}" for name in tasks if name in TASKS and task(name).kind == "choice"]
    say(f"{lm.name}: answering {len(tasks)} tasks, dense and {len(specs)} pruned")
    drafts, memory = Drafts(), Memory()
    asked = [*tasks, *(baselines if choice_only else [])]
    yield answer(lm, DENSE, asked, manager, limit, batch_size, folder, drafts=drafts)
    for spec in track(specs, "evaluating"):
        with variant(lm, spec, calibration, memory) as other:
            yield answer(other, spec, tasks, manager, limit, batch_size, folder, calibration, drafts)


def task_manager(tasks: Sequence[str]) -> TaskManager:
    """The harness' index of its own tasks; reading it takes a while, so only if one of them is asked for."""
    others = [name for name in tasks if name not in TASKS and name != RETRIEVAL]
    manager = TaskManager(include_defaults=bool(others))
    for name in others:
        lookup("task", name, dict.fromkeys([*TASKS, RETRIEVAL, *manager.all_tasks]))
    return manager


def answer(
    lm: LanguageModel,
    spec: str,
    tasks: Sequence[str],
    manager: TaskManager,
    limit: int | None,
    batch_size: int,
    folder: Path,
    calibration: Calibration = None,
    drafts: Drafts | None = None,
) -> pd.DataFrame:
    """Items of one model under the name ``spec``; see :func:`evaluate`.

    ``drafts``: texts of another model, verified before this one writes; the answers do not depend on them.
    What this model writes where there was no draft is added.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    asked = [name for name in tasks if name != RETRIEVAL]
    rows = retrieval_rows(lm, limit) if RETRIEVAL in tasks else []
    if not asked:
        return pd.DataFrame(rows).assign(model=lm.name, spec=spec)
    drafts = {} if drafts is None else drafts
    harness: Any = DraftedLM(lm, batch_size, drafts)
    answering: Any = CachingLM(harness, str(folder / f"{_key(lm, spec, calibration)}.db"))
    # Not ``simple_evaluate``: at every call that asks pip and git about the whole environment.
    with redirect_stderr(StringIO()):  # the harness' own bars would tear ours
        loaded = manager.load([_harness_task(name, lm) for name in asked])
        for name, one in loaded["tasks"].items():
            if getattr(one, "UNSAFE_CODE", False):
                raise ValueError(
                    f"task {name!r} of the harness executes what the model writes without isolation: not run"
                )
            if one.get_config("num_fewshot") is None:
                one.set_config(key="num_fewshot", value=0)
            one.set_fewshot_seed(seed=_FEWSHOT_SEED)
        results = lm_eval.evaluate(answering, loaded, limit=limit, bootstrap_iters=0, log_samples=True)
    assert results is not None
    for sample in (sample for name in asked for sample in results["samples"][name]):
        if isinstance(written := sample["resps"][0][0], str):
            drafts.setdefault(sample["arguments"][0][0], written)
    rows += [row for name in asked for row in _rows(name, results["samples"][name])]
    return pd.DataFrame(rows).assign(model=lm.name, spec=spec)


def _harness_task(name: str, lm: LanguageModel) -> Any:
    shipped, _, baseline = name.partition("/")
    return harness_task(shipped, lm.tokenizer, choice_only=bool(baseline)) if shipped in TASKS else name


def _key(lm: LanguageModel, spec: str, calibration: Calibration) -> str:
    """Name of the answers' database: another model, precision, library, spec or calibration is another."""
    facts: list[Any] = [lm.name, lm.provenance, spec]
    if calibration is not None:
        parts = (part if isinstance(part, str) else str(part.tolist()) for part in calibration)
        facts.append(hashlib.sha256("\0".join(parts).encode()).hexdigest())
    origin = json.dumps(facts, sort_keys=True, default=str)
    return f"{Path(lm.name).name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"


def _rows(name: str, samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        metric = next(metric for metric in _METRICS if metric in sample)
        yield {
            "task": name,
            "item": sample["doc_id"],
            "correct": float(sample[metric]),
            **_answer(sample),
        }


def _answer(sample: dict[str, Any]) -> dict[str, Any]:
    """The generated text, or the chosen option's index and the options' probabilities."""
    answers = sample["filtered_resps"]
    if isinstance(answers[0], str):
        return {"prediction": str(answers[0]).strip(), "probabilities": None}
    scores = np.array([float(answer[0]) for answer in answers])
    if "acc_norm" in sample:
        scores = scores / np.array([max(1, len(option)) for option in sample["doc"]["options"]])
    return {"prediction": str(int(scores.argmax())), "probabilities": tuple(softmax(scores).tolist())}


def summarise(items: pd.DataFrame, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row per spec and task: score with Wilson interval, flips against dense, agreement.

    Columns: n, score, lower, upper (Wilson; bootstrap for graded scores), change, change_lower, change_upper
    (paired bootstrap over items), right_to_wrong, wrong_to_right (counts), agreement (share of equal
    answers), chance, choice_only.
    """
    dense = items[items.spec == DENSE].set_index(["task", "item"])
    random = np.random.default_rng(seed)
    rows = []
    for (spec, name), group in items.groupby(["spec", "task"], sort=False):
        if str(name).endswith(CHOICE_ONLY):
            continue
        before = dense.loc[pd.MultiIndex.from_frame(group[["task", "item"]])]
        change = group.correct.to_numpy() - before.correct.to_numpy()
        resampled = change[random.integers(len(change), size=(_RESAMPLES, len(change)))].mean(1)
        limits = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
        lower, upper = _score_limits(group.correct.to_numpy(), level, random)
        rows.append(
            {
                "spec": spec,
                "task": name,
                "n": len(group),
                "score": group.correct.mean(),
                "lower": lower,
                "upper": upper,
                "change": change.mean(),
                "change_lower": limits[0],
                "change_upper": limits[1],
                "right_to_wrong": int((change < 0).sum()),
                "wrong_to_right": int((change > 0).sum()),
                "agreement": (group.prediction.to_numpy() == before.prediction.to_numpy()).mean(),
                "chance": task(str(name)).chance if name in TASKS else None,
                "choice_only": _choice_only(items, str(name)),
            }
        )
    return pd.DataFrame(rows)


def _score_limits(
    scores: np.ndarray[Any, Any], level: float, random: np.random.Generator
) -> tuple[float, float]:
    """Wilson's interval of a share; a bootstrap over items where scores lie between 0 and 1."""
    if set(np.unique(scores)) <= {0.0, 1.0}:
        wilson = binomtest(int(scores.sum()), len(scores)).proportion_ci(level, method="wilson")
        return float(wilson.low), float(wilson.high)
    means = scores[random.integers(len(scores), size=(_RESAMPLES, len(scores)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _choice_only(items: pd.DataFrame, name: str) -> float | None:
    blind = items[items.task == f"{name}/{CHOICE_ONLY}"]
    return float(blind.correct.mean()) if len(blind) else None
