"""Tasks of lm-evaluation-harness, public benchmarks among them, as questions whose answers can be judged."""

from __future__ import annotations

from collections import defaultdict
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from lm_eval.api.instance import Instance

from real.models.load import LanguageModel
from real.tasks.evaluate import load_tasks, require_allowed, task_manager
from real.tasks.harness_rows import METRICS
from real.tasks.source import Asked, TaskSource

_LEAST = -1e9  # log-likelihood of an option that is not chosen
_MOST_TOKENS = 256  # the harness' own default


def harness_source(
    name: str, lm: LanguageModel | None = None, limit: int | None = None, *, allow_code: bool = False
) -> TaskSource:
    """The first ``limit`` questions of a task of the harness, asked and judged as the harness does.

    Options are compared (K12), a task with one ending per question is read along that ending, and a task that
    lets the model write has its own scorer (K4). ``lm``, whose chat template may be needed, is the dense
    model; only shipped programs need it.

    Raises
    ------
    UnknownNameError
        The harness has no such task.
    ValueError
        It is a group of tasks, its options follow different beginnings, an item has no single right option,
        or programs are to be executed without ``allow_code``.
    """
    require_allowed([name], allow_code)
    with redirect_stderr(StringIO()):
        loaded = load_tasks(task_manager([name]), [name], lm)["tasks"]
        if len(loaded) != 1:
            raise ValueError(f"{name!r} is a group: name one of its tasks, such as {next(iter(loaded))!r}")
        (one,) = loaded.values()
        one.build_all_requests(limit=limit)
    asked: dict[Any, list[Instance]] = defaultdict(list)
    for instance in one.instances:
        asked[instance.doc_id].append(instance)
    if one.OUTPUT_TYPE == "multiple_choice":
        return _choices(name, one, list(asked.values()))
    if one.OUTPUT_TYPE == "loglikelihood":
        return _endings(name, list(asked.values()))
    return _written(name, one, list(asked.values()))


def _choices(name: str, one: Any, asked: list[list[Instance]]) -> TaskSource:
    questions, lead = [], str(one.config.target_delimiter)
    for index, instances in enumerate(asked):
        options = tuple(map(str, one.doc_to_choice(instances[0].doc)))
        contexts = {instance.args[0] for instance in instances[: len(options)]}
        if len(contexts) > 1:
            raise ValueError(
                f"task {name!r} asks for one ending after different beginnings: a change of its score is "
                "measured by evaluate, not read off"
            )
        right = _right(one, instances, len(options))
        if len(right) != 1:
            raise ValueError(f"task {name!r}, item {index}: {len(right)} options are right; expected one")
        questions.append(Asked(contexts.pop(), (options[right[0]],), options))
    return TaskSource(name, tuple(questions), lead=lead, per_character="acc_norm" in one.aggregation())


def _right(one: Any, instances: list[Instance], options: int) -> list[int]:
    """Options that the harness counts as right when a model prefers them."""
    found = []
    for option in range(options):
        likely = [(0.0 if index == option else _LEAST, False) for index in range(len(instances))]
        if _metric(one.process_results(instances[0].doc, likely)) == 1:
            found.append(option)
    return found


def _endings(name: str, asked: list[list[Instance]]) -> TaskSource:
    questions = [Asked(instances[0].args[0], (instances[0].args[1],)) for instances in asked]
    return TaskSource(name, tuple(questions), lead="", endings=True)


def _written(name: str, one: Any, asked: list[list[Instance]]) -> TaskSource:
    settings = asked[0][0].args[1] if asked else {}
    stops = settings.get("until", [])
    questions = [
        Asked(instances[0].args[0], pattern=None, item=(one, instances[0].doc)) for instances in asked
    ]
    return TaskSource(
        name,
        tuple(questions),
        stops=(stops,) if isinstance(stops, str) else tuple(stops),
        horizon=int(settings.get("max_gen_toks", _MOST_TOKENS)),
        scorer=judged,
    )


def judged(text: str, question: Asked) -> float:
    """What the harness gives a written text, with its first way of reading answers (filter)."""
    one, doc = question.item
    instance = Instance("generate_until", doc, (question.prompt, {}), 0, resps=[text])
    first = one._filters[0]
    first.apply([instance])
    return _metric(one.process_results(doc, [instance.filtered_resps[first.name]]))


def _metric(found: dict[str, Any]) -> float:
    return float(next(found[metric] for metric in METRICS if metric in found))
