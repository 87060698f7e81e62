"""Records say what was drawn, survive interruptions, and are refused when they must be."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.records import Decoding, Header, RecordedText, RecordError, read_pair, read_record, write_record
from real.records.record import is_record

HEADER = Header("dense", "an engine", "cafe", settings={"tokens": 4})
OTHER = replace(HEADER, model="other")
TEXT = RecordedText(0, (1, 2), (3, 4), (-0.5, -1.0), True)

log_probabilities = st.floats(-1e4, 0) | st.just(-math.inf)
texts = st.integers(1, 5).flatmap(
    lambda n: st.builds(
        RecordedText,
        prompt=st.integers(0, 9),
        prompt_ids=st.lists(st.integers(0, 99), max_size=4).map(tuple),
        ids=st.lists(st.integers(0, 99), min_size=n, max_size=n).map(tuple),
        logprobs=st.lists(log_probabilities, min_size=n, max_size=n).map(tuple),
        stopped=st.booleans(),
        score=st.none() | st.floats(0, 1),
        top=st.none() | st.lists(st.just(((7, -0.25), (8, -3.5))), min_size=n, max_size=n).map(tuple),
    )
)


def written(path: Path, *found: RecordedText, header: Header = HEADER) -> Path:
    write_record(path, header, lambda start: found[start:], len(found))
    return path


@given(st.lists(texts, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, found: list[RecordedText]) -> None:
    path = written(tmp_path_factory.mktemp("record") / "r.jsonl", *found)
    header, read = read_record(path)
    assert header == HEADER
    for before, after in zip(found, read, strict=True):
        assert after.logprobs == pytest.approx(before.logprobs, rel=1e-8)
        assert replace(after, logprobs=before.logprobs) == before


def test_pandas_reads_a_record(tmp_path: Path) -> None:
    table = pd.read_json(written(tmp_path / "r.jsonl", TEXT), lines=True)
    assert table["ids"][1] == [3, 4]
    assert table["record"][0] == "softmax-drift/1"


@pytest.mark.parametrize("kept", [0, 1, 3])
@pytest.mark.parametrize("torn", ["", '{"prompt": 0, "ids"'])
def test_an_interrupted_record_goes_on(tmp_path: Path, kept: int, torn: str) -> None:
    found = [replace(TEXT, prompt=index) for index in range(4)]
    path = tmp_path / "r.jsonl"

    def killed(start: int) -> Iterator[RecordedText]:
        yield from found[:kept]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_record(path, HEADER, killed, len(found))
    assert not path.exists()
    with (tmp_path / ".r.jsonl.partial").open("a") as stream:
        stream.write(torn)
    asked: list[int] = []

    def rest(start: int) -> list[RecordedText]:
        asked.append(start)
        return found[start:]

    done = write_record(path, HEADER, rest, len(found))
    assert asked == [kept]
    assert (done.kept, done.written) == (kept, 4 - kept)
    assert list(read_record(path)[1]) == found
    assert write_record(path, HEADER, rest, len(found)).written == 0
    assert asked == [kept]


def test_an_interrupted_record_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    def killed(start: int) -> Iterator[RecordedText]:
        yield replace(TEXT, prompt=9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_record(tmp_path / "r.jsonl", OTHER, killed, 2)
    path = written(tmp_path / "r.jsonl", TEXT)
    assert [text.prompt for text in read_record(path)[1]] == [0]


def test_a_finished_record_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", TEXT)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="another record"):
        written(path, TEXT, header=OTHER)
    assert path.read_bytes() == before


def test_texts_that_stop_coming_leave_no_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="1 texts came, 2"):
        write_record(tmp_path / "r.jsonl", HEADER, lambda start: [TEXT], 2)
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"logprobs": [-0.5]}, "2 tokens but 1"),
        ({"logprobs": [-0.5, 0.1]}, "token 2: log-probability 0.1"),
        ({"logprobs": [math.nan, -1]}, "token 1: log-probability nan"),
        ({"ids": [], "logprobs": []}, "no drawn token"),
        ({"score": 1.5}, "score 1.5"),
        ({"top": [[[3, -0.1]]]}, "'top' of 1 steps"),
        ({"top": [[[3, -0.1]], [[3, 0.5]]]}, "positive"),
        ({"top": [[[3, -0.1], [4, -0.1]], [[3, -1]]]}, "no part of a distribution"),
        ({"top": [[[3, -1], [3, -1]], [[3, -1]]]}, "no part of a distribution"),
        ({"ids": "text"}, "no text of a record"),
        ({"prompt": None}, "no text of a record"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: dict[str, object], sentence: str) -> None:
    path = written(tmp_path / "r.jsonl", TEXT)
    with path.open("a") as stream:
        stream.write(json.dumps(TEXT.line() | line) + "\n")
    with pytest.raises(RecordError, match=sentence) as refusal:
        list(read_record(path)[1])
    assert "line 3" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "first", ["", "[]", "{", '{"record": "other/1"}', '{"record": "softmax-drift/1"}', "\0\0"]
)
def test_other_files_are_no_records(tmp_path: Path, first: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(first)
    with pytest.raises(RecordError, match=r"r\.jsonl"):
        read_record(path)


def test_a_record_is_recognised_without_reading_it(tmp_path: Path) -> None:
    assert is_record(written(tmp_path / "r.jsonl", TEXT))
    (tmp_path / "other.json").write_text("{}")
    assert not is_record(tmp_path / "other.json")
    assert not is_record(tmp_path)


WARM = Decoding(temperature=0.7)
CUT = Decoding(top_k=40)


@pytest.mark.parametrize(
    ("dense", "other", "text", "sentence"),
    [
        (HEADER, OTHER, replace(TEXT, ids=(3, 5)), "different token ids in text 1"),
        (HEADER, OTHER, replace(TEXT, prompt_ids=(1,)), "different prompts in text 1"),
        (HEADER, replace(OTHER, tokenizer_sha256="beef"), TEXT, "different tokenizers"),
        (replace(HEADER, decoding=WARM, scored=Decoding()), OTHER, TEXT, "temperature 0.7 but .* at 1"),
        (replace(HEADER, decoding=CUT, scored=Decoding()), OTHER, TEXT, "top k 40 but log-probabilities of"),
        (HEADER, replace(OTHER, decoding=WARM), TEXT, "taken at temperature 0.7 but"),
        (replace(HEADER, decoding=CUT), OTHER, TEXT, "taken at temperature 1 but .* top k 40"),
    ],
)
def test_pairs_that_must_not_be_compared(
    tmp_path: Path, dense: Header, other: Header, text: RecordedText, sentence: str
) -> None:
    first = written(tmp_path / "dense.jsonl", TEXT, header=dense)
    second = written(tmp_path / "other.jsonl", text, header=other)
    with pytest.raises(RecordError, match=sentence) as refusal:
        list(read_pair(first, second)[2])
    assert "\n" not in str(refusal.value)


def test_pairs_end_together_and_hold_something(tmp_path: Path) -> None:
    one = written(tmp_path / "one.jsonl", TEXT)
    two = written(tmp_path / "two.jsonl", TEXT, TEXT, header=OTHER)
    none = written(tmp_path / "none.jsonl")
    with pytest.raises(RecordError, match=r"one\.jsonl ends after 1 texts"):
        list(read_pair(one, two)[2])
    with pytest.raises(RecordError, match="no text"):
        list(read_pair(none, none)[2])


def test_impossible_tokens_are_the_other_models_only(tmp_path: Path) -> None:
    never = replace(TEXT, logprobs=(-0.5, -math.inf))
    one = written(tmp_path / "one.jsonl", TEXT)
    two = written(tmp_path / "two.jsonl", never)
    assert len(list(read_pair(one, two)[2])) == 1
    with pytest.raises(RecordError, match="probability zero"):
        list(read_pair(two, one)[2])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", *([TEXT] * 8000))
    tracemalloc.start()
    assert sum(1 for _ in read_pair(path, path)[2]) == 8000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2
