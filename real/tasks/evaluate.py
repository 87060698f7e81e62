"""Measure tasks with ground truth through lm-evaluation-harness, item by item, dense beside pruned.

Every answer is kept in a small database as soon as it is known, so an interrupted run goes on where it
stopped. Accuracy alone hides what pruning does: the tables also say which items turned from right to wrong
and from wrong to right, and how often the two models give the same answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from functools import cache
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import lm_eval
import pandas as pd
from lm_eval.tasks import TaskManager

from real.cache import cache_folder, content_key
from real.models.load import LanguageModel
from real.models.settings import neutral_settings
from real.pruning.calibration import Calibration
from real.pruning.choose import Memory
from real.pruning.spec import names_checkpoint, parse_spec
from real.pruning.variants import recalibrated, variant
from real.tasks.drafted import Drafts
from real.tasks.harness import CHOICE_ONLY, harness_task
from real.tasks.harness_model import harness_model
from real.tasks.harness_rows import item_rows, require_countable
from real.tasks.items import TASKS, task
from real.tasks.kept_answers import KeptAnswers
from real.tasks.public import public_task
from real.tasks.public_sets import PUBLIC
from real.tasks.retrieval import RETRIEVAL, retrieval_rows
from real.tasks.sandbox import require_sandbox
from real.tasks.summary import DENSE
from theory.fingerprint import fingerprint
from theory.names import lookup
from theory.terminal.console import say, track

_FEWSHOT_SEED = 1234


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

    Columns: model, spec, task, item, metric, prediction, correct (score of the item in [0, 1]), for multiple
    choice probabilities (softmax of what the options are compared by), for specs whose masks are found layer
    by layer correct_1 and correct_2 (the same with two other calibration texts). ``tasks`` are names
    in ``TASKS``, "retrieval" (nDCG@10) or names of the harness, whose items come without a hub for those in
    :data:`real.tasks.public.PUBLIC`. With ``choice_only`` the dense model also
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
    require_allowed(tasks, allow_code)
    tasks = list(dict.fromkeys(tasks))
    specs = distinct(specs)
    manager = task_manager(tasks)
    folder = folder or cache_folder() / "answers"
    baselines = [f"{name}/{CHOICE_ONLY}" for name in tasks if name in TASKS and task(name).kind == "choice"]
    say(f"{lm.name}: answering {len(tasks)} tasks, dense and {len(specs)} pruned")
    drafts, memory = Drafts(), Memory()
    asked = [*tasks, *(baselines if choice_only else [])]
    yield answer(lm, DENSE, asked, manager, limit, batch_size, folder, drafts=drafts)
    for spec in track(specs, "evaluating"):

        def answered(other: LanguageModel, spec: str = spec) -> pd.DataFrame:
            return answer(other, spec, tasks, manager, limit, batch_size, folder, calibration, drafts)

        with variant(lm, spec, calibration, memory) as other:
            found = answered(other)
        again = recalibrated(lm, spec, answered, calibration, memory)
        yield found.assign(**{f"correct_{seed}": one["correct"] for seed, one in enumerate(again, 1)})


def require_allowed(tasks: Sequence[str], allow_code: bool) -> None:
    """Raise unless every task that executes programs may do so, and can do so in isolation.

    Raises
    ------
    ValueError
        A task executes programs and ``allow_code`` is not set.
    SandboxUnavailableError
        Programs are to be executed and there is no isolation for them here.
    """
    names = [name for name in tasks if _executes(name)]
    if names and not allow_code:
        raise ValueError(
            f"task {names[0]!r} executes programs that the model writes, in a sandbox: ask for it by "
            "allow_code=True, on the command line --allow-code"
        )
    if names:
        require_sandbox()


def _executes(name: str) -> bool:
    return PUBLIC[name].executes if name in PUBLIC else name in TASKS and task(name).kind == "code"


def distinct(specs: Sequence[str]) -> list[str]:
    """Every variant once, without the dense model itself, which is always asked."""
    named: dict[str, str] = {DENSE: DENSE}
    for spec in specs:
        named.setdefault(spec if names_checkpoint(spec) else str(parse_spec(spec)), spec)
    return list(named.values())[1:]


def task_manager(tasks: Sequence[str]) -> TaskManager:
    """The harness' index of its own tasks; reading it takes a while, so only if one of them is asked for."""
    ours = {*TASKS, RETRIEVAL, *(name for name, one in PUBLIC.items() if one.own is not None)}
    others = [name for name in tasks if name not in ours]
    manager = _index(bool(others))
    for name in others:
        lookup("task", name, dict.fromkeys([*ours, *manager.all_tasks]))
    return manager


@cache
def _index(defaults: bool) -> TaskManager:
    return TaskManager(include_defaults=defaults)


def count_questions(lm: LanguageModel, tasks: Sequence[str], limit: int | None = None) -> int:
    """Number of questions that :func:`evaluate` asks one model."""
    names = [name for name in dict.fromkeys(tasks) if name != RETRIEVAL]
    with redirect_stderr(StringIO()):
        loaded = load_tasks(task_manager(names), names, lm)["tasks"]
    counts = [len(list(one.eval_docs)) for one in loaded.values()]
    return sum(count if limit is None else min(count, limit) for count in counts)


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
    items: dict[str, list[int]] | None = None,
) -> pd.DataFrame:
    """Items of one model under the name ``spec``; see :func:`evaluate`.

    ``items``: the numbers of the questions that are asked, by task, in place of the first ``limit``.
    ``drafts``: texts of another model, verified before this one writes; the answers do not depend on them.
    What this model writes where there was no draft is added.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    asked = [name for name in tasks if name != RETRIEVAL]
    head: Any = lm.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if asked and head is None:
        raise ValueError(
            f"{lm.name} is an encoder: of all tasks it can only do {RETRIEVAL!r}, not {asked[0]!r}"
        )
    rows = retrieval_rows(lm, limit) if RETRIEVAL in tasks else []
    if not asked:
        return pd.DataFrame(rows).assign(model=lm.name, spec=spec)
    drafts = {} if drafts is None else drafts
    known = KeptAnswers(
        harness_model(lm, batch_size, drafts), folder / f"{_key(lm, spec, calibration, batch_size)}.db"
    )
    rows += asked_rows(known, lm, asked, manager, limit, drafts, items)
    return pd.DataFrame(rows).assign(model=lm.name, spec=spec)


def asked_rows(
    known: KeptAnswers,
    lm: LanguageModel,
    names: Sequence[str],
    manager: TaskManager,
    limit: int | None,
    drafts: Drafts,
    items: dict[str, list[int]] | None = None,
) -> list[dict[str, Any]]:
    """One row per item of the tasks, answered by ``known``, with questions as ``lm`` reads them.

    ``items`` as in :func:`answer`.
    """
    rows: list[dict[str, Any]] = []
    # Not ``simple_evaluate``: at every call that asks pip and git about the whole environment.
    with redirect_stderr(StringIO()), neutral_settings(lm.model, cached=lm.checks.cached):
        loaded = load_tasks(manager, names, lm)
        try:
            results = lm_eval.evaluate(
                known, loaded, limit=limit, samples=items, bootstrap_iters=0, log_samples=True
            )
        except AssertionError as error:  # a task that asks for more than the context holds
            raise ValueError(f"{lm.name} cannot answer these tasks: {error}") from error
    known.dbdict.close()
    assert results is not None
    for name, one in loaded["tasks"].items():
        for sample in results["samples"][name]:
            if isinstance(written := sample["resps"][0][0], str):
                drafts.setdefault(sample["arguments"][0][0], written)
        rows += item_rows(name, one, results["samples"][name])
    return rows


def load_tasks(manager: TaskManager, names: Sequence[str], lm: LanguageModel | None) -> Any:
    """Shipped tasks, tasks and groups of the harness, every one of them once and fit to be counted."""
    loaded: Any = {"tasks": {}, "groups": {}, "group_map": {}}
    for name in dict.fromkeys(names):
        found = manager.load([_harness_task(name, lm)])
        for part in ("tasks",) if name in PUBLIC else found:
            loaded[part] |= found[part]
    require_countable(loaded["tasks"])
    for one in loaded["tasks"].values():
        if one.get_config("num_fewshot") is None:
            one.set_config(key="num_fewshot", value=0)
        one.set_fewshot_seed(seed=_FEWSHOT_SEED)
    return loaded


def _harness_task(name: str, lm: LanguageModel | None) -> Any:
    if name in PUBLIC:
        return public_task(name)
    shipped, _, baseline = name.partition("/")
    if shipped not in TASKS:
        return name
    assert lm is not None, "shipped tasks are asked through a model's chat template"
    return harness_task(shipped, lm.tokenizer, choice_only=bool(baseline))


def _key(lm: LanguageModel, spec: str, calibration: Calibration, batch_size: int) -> str:
    """Name of the answers' database: all that an answer depends on, by content.

    The weights are hashed as they answer, pruned ones as pruned; what a spec does beside weights is in its
    name. Another calibration, batch size, library, device or code is another database.
    """
    given = None
    if calibration is not None:
        given = [part if isinstance(part, str) else part.tolist() for part in calibration]
    libraries = {name: version(name) for name in ("torch", "transformers", "lm-eval", "tokenizers")}
    code = fingerprint("real.tasks.evaluate")
    return content_key([lm.content, spec, given, batch_size, lm.device.type, libraries, code])
