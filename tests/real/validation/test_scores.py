from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from real.models.load import LanguageModel
from real.validation import outcomes
from real.validation.outcomes import Bench, Outcome, Plan, bench
from real.validation.scores import rank_correlation, validate_scores

PLAN = Plan(("attn:0", "attn:1", "mlp:2"), ("agreement", "copy-1"), questions=8, answered=3, samples=3)


@pytest.fixture(scope="module")
def found(tiny_lm: LanguageModel, folder: Path) -> list[dict[str, Any]]:
    return validate_scores(bench(tiny_lm, PLAN))


def entries(record: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(entry["task"], entry["decoding"]): entry for entry in record["tasks"]}


def test_what_is_read_off_is_what_is_answered(found: list[dict[str, Any]]) -> None:
    for record in found:
        for entry in record["tasks"]:
            if entry["decoding"] == "greedy":
                assert entry["answered"] == 3
                assert entry["agree"] == entry["answered"] - entry["undecided"]


def test_a_model_against_itself_loses_nothing(found: list[dict[str, Any]]) -> None:
    same = found[0]
    assert same["kl_per_token"] == pytest.approx(0, abs=1e-12)
    for entry in same["tasks"]:
        assert entry["loss"] == pytest.approx(0, abs=1e-6)
        assert entry["measured"] == pytest.approx(0, abs=1e-6)
        assert entry["covered"]
        assert entry["verdicts"]["these"] == "safe"
        assert entry["truth"] == "safe"
        assert entry["power"]["read off"]["prompts"] in (32, 40)
    split = entries(same)["copy-1", "sampled"]["split"]
    assert all(value == pytest.approx(0, abs=1e-6) for value in split.values())


def test_kinds_and_methods(found: list[dict[str, Any]]) -> None:
    for record in found:
        known = entries(record)
        assert known["agreement", "sampled"]["kind"] == "choice"
        assert set(known["agreement", "sampled"]["power"]) == {"read off", "ceiling", "counting"}
        assert set(known["copy-1", "sampled"]["power"]) == {"read off", "band", "ceiling", "counting"}
        assert set(known["copy-1", "greedy"]["power"]) == {"read off"}
        assert "split" in known["copy-1", "sampled"]


def test_it_goes_on_where_it_stopped(
    tiny_lm: LanguageModel, found: list[dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run has some tasks of some specs: only the others are made."""
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(folder))
    again = bench(tiny_lm, PLAN)
    missing = again._place("mlp:2", "copy-1")
    missing.unlink()
    made: list[str] = []
    inner = Bench._made

    def counted(self: Bench, spec: str, *rest: Any) -> Outcome:
        made.append(spec)
        return inner(self, spec, *rest)

    monkeypatch.setattr(Bench, "_made", counted)
    assert [strip(record) for record in validate_scores(again)] == [strip(record) for record in found]
    assert made == ["mlp:2"]
    assert missing.exists()


def strip(record: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(json.dumps(record))
    for entry in kept["tasks"]:
        entry.pop("seconds", None)
    return kept


def test_another_plan_code_or_model_is_another_folder(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench(tiny_lm, PLAN).folder
    assert bench(tiny_lm, Plan(PLAN.specs[:1], PLAN.tasks[:1], 8, 3, 3)).folder == first
    assert bench(tiny_lm, Plan(PLAN.specs, PLAN.tasks, 8, 2, 3)).folder != first
    monkeypatch.setattr(outcomes, "fingerprint", lambda module: "other code")
    assert bench(tiny_lm, PLAN).folder != first


def test_a_reading_that_lies_is_seen(
    tiny_lm: LanguageModel, found: list[dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can fail: answers turned round agree with nothing that was read off."""
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(folder))
    inner = Bench._known

    def lies(self: Bench, spec: str) -> Any:
        known = inner(self, spec)
        assert known is not None
        kl, tasks = known
        return kl, {
            name: Outcome(**{**vars(one), "answered": [1 - value for value in one.answered]})
            for name, one in tasks.items()
        }

    monkeypatch.setattr(Bench, "_known", lies)
    for record in validate_scores(bench(tiny_lm, PLAN)):
        assert all(entry.get("agree", 0) == 0 for entry in record["tasks"])


@pytest.mark.parametrize(("questions", "answered", "samples"), [(4, 4, 1), (4, 0, 1), (8, 2, 0)])
def test_plans_without_sense_are_refused(questions: int, answered: int, samples: int) -> None:
    with pytest.raises(ValueError, match="answered must be from 1"):
        Plan(("int8",), ("units",), questions, answered, samples)


def record(spec: str, kl: float, losses: dict[str, float], forecast: dict[str, float]) -> dict[str, Any]:
    tasks = [
        {
            "task": task,
            "decoding": decoding,
            "signal": True,
            "measured": loss,
            "forecast": {"mean": forecast[task]},
        }
        for task, loss in losses.items()
        for decoding in ("greedy", "sampled")
    ]
    return {"spec": spec, "kl_per_token": kl, "tasks": tasks}


def test_rank_correlation_is_of_the_mild_half() -> None:
    """Among the mild ones the order is against KL; the strong ones would hide it."""
    records = [
        record(f"{index}", kl, {"t": loss}, {"t": loss})
        for index, (kl, loss) in enumerate(
            [(0.01, 0.03), (0.02, 0.02), (0.03, 0.01), (1, 0.5), (2, 0.6), (3, 0.7)]
        )
    ]
    found = rank_correlation(records)
    assert found["specs"] == ["0", "1", "2"]
    assert found["mean"] == pytest.approx({"kl per token": -1, "read off, greedy": 1, "read off, sampled": 1})


def test_dense_texts_give_the_weights_of_variants(found: list[dict[str, Any]]) -> None:
    """Total variation from weights is no more than what is lost."""
    for one in found:
        split = entries(one)["copy-1", "sampled"]["split"]
        assert min(split.values()) >= 0
        assert split["lost_right"] + split["lost_wrong"] <= 1
