"""A score that is a regular expression, an executed program, or a column of a record.

Callables are in ``test_forecast``, tasks of the harness in ``tests/real/tasks/test_harness_source``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from real.command_line import app
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.recording import draw_record
from real.models.load import LanguageModel
from real.models.save import save
from real.records.record import Decoding, RecordError
from real.scores.forecast import forecast_scores
from real.scores.sampled import graded
from real.tasks.graded import read_graded
from real.tasks.source import Asked
from real.tasks.user_file import search_scorer
from real.text.likelihood import log_probabilities
from tests.real.conftest import tiny_language_model
from tests.real.tasks.test_sandbox import needs_sandbox
from theory.terminal.run import run

PROMPTS = ["one", "three", "two", "seven"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))


def record(lm: LanguageModel, path: Path, decoding: Decoding | None = None) -> Path:
    """Drawn texts, and a score for each: how often byte 32 and its like occur."""
    drawn = path.with_name("drawn.jsonl")
    draw_record(HuggingFaceEngine(lm), PROMPTS, drawn, tokens=6, samples=8, decoding=decoding)
    header, *lines = drawn.read_text().splitlines()
    texts = [json.loads(line) for line in lines]
    for text in texts:
        text["score"] = sum(token % 2 for token in text["ids"]) / len(text["ids"])
    path.write_text("\n".join([header, *map(json.dumps, texts)]) + "\n")
    return path


def test_a_column_of_scores_is_forecast_as_if_judged_now(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    path = record(tiny_lm, tmp_path / "graded.jsonl")
    source = read_graded(path)
    found = graded(tiny_lm, source)
    read = log_probabilities(tiny_lm, found.samples)
    torch.testing.assert_close(found.log_prob, read, rtol=0, atol=1e-4)
    assert len(source.questions) == len(PROMPTS)
    report = forecast_scores(tiny_lm, ["attn:0", "mlp:[0,1,2]"], [path])
    same, other = report.verdicts
    assert same.prompts == len(PROMPTS)
    assert same.these.loss.mean == pytest.approx(0, abs=1e-4)
    assert same.before.mean == pytest.approx(float(found.scores.mean()))
    assert other.explanation is not None
    assert other.explanation.lost_right + other.explanation.lost_wrong > 0.1


def test_scores_stay_with_their_texts_when_questions_are_drawn(
    tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    path = record(tiny_lm, tmp_path / "graded.jsonl")
    (few,) = forecast_scores(tiny_lm, ["attn:0"], [path], limit=2, seed=3).verdicts
    means = [sum(text.score for text in one.item) / len(one.item) for one in read_graded(path).questions]
    pairs = {round((one + two) / 2, 9) for one in means for two in means if one != two}
    assert round(few.before.mean, 9) in pairs


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: [{**lines[0], "temperature": 0.0}, *lines[1:]], "above 0, uncut"),
        (lambda lines: [{**lines[0], "top_k": 5}, *lines[1:]], "above 0, uncut"),
        (lambda lines: [*lines[:2], {**lines[2], "score": None}, *lines[3:]], "has no score"),
        (lambda lines: [*lines, lines[1]], "side by side"),
        (lambda lines: [{**lines[0], "tokenizer_sha256": "0"}, *lines[1:]], "another tokenizer"),
        (lambda lines: lines[:1], "holds no text"),
    ],
)
def test_records_that_say_nothing_of_a_score_are_refused(
    tiny_lm: LanguageModel, tmp_path: Path, change: object, sentence: str
) -> None:
    path = record(tiny_lm, tmp_path / "graded.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert callable(change)
    path.write_text("\n".join(map(json.dumps, change(lines))) + "\n")
    with pytest.raises(RecordError, match=sentence) as caught:
        forecast_scores(tiny_lm, ["attn:0"], [path])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text", "answers", "score"),
    [
        (r"answer is (\d+)", "So the answer is 42, not 7.", ("42",), 1),
        (r"answer is (\d+)", "So the answer is 7, not 42.", ("42",), 0),
        (r"answer is (\d+)", "42", ("42",), 0),
        (r"\d+", "it is 42.", ("41", "42"), 1),
        (r"\d+", "it is 42.", (), 1),
        (r"\d+", "no idea", (), 0),
        (r"a|(b)", "a", ("a",), 0),
    ],
)
def test_a_pattern_finds_the_answer(pattern: str, text: str, answers: tuple[str, ...], score: float) -> None:
    assert search_scorer(pattern)(text, Asked("?", answers)) == score


@needs_sandbox
def test_programs_are_executed_when_allowed(tiny_lm: LanguageModel) -> None:
    (one,) = forecast_scores(tiny_lm, ["attn:0"], ["functions"], limit=2, samples=1, allow_code=True).verdicts
    assert (one.decoding, one.prompts, one.before.mean) == ("sampled", 2, 0)


@pytest.mark.parametrize(
    ("scorer", "code", "words"),
    [("regex:[a-z]", 3, "lost right"), ("regex:(", 2, "is no regular expression"), (None, 3, "lost right")],
)
def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    scorer: str | None, code: int, words: str,
) -> None:  # fmt: skip
    lm = tiny_language_model()
    folder, task = save(lm, tmp_path / "tiny"), tmp_path / "mine.jsonl"
    if scorer is None:
        record(lm, task)
    else:
        task.write_text("".join(json.dumps({"prompt": f"{n}?"}) + "\n" for n in range(4)))
    arguments = ["real", "forecast", str(folder), "attn:0", "--task", str(task), "--samples", "2"]
    monkeypatch.setattr(sys, "argv", [*arguments, *(["--scorer", scorer] if scorer else [])])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        run(app)
    shown = capsys.readouterr()
    assert ended.value.code == code, shown.err
    assert words in shown.out + shown.err
