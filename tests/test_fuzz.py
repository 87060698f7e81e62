"""No command line and no tensor ends in a traceback: a few with the suite, ten minutes by `make fuzz`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from real.models.save import save
from tests.fuzz_lines import CHEAP, COMMANDS, EXIT_CODES, lines, outcome
from tests.real.conftest import tiny_language_model
from theory import measure
from theory.drift.record import Drift
from theory.terminal.run import EXIT_CODES_OF_EVERY_COMMAND

FLOATS = [0.0, -0.0, 1.0, 1e-320, 1e300, -1e4, float("nan"), float("inf"), float("-inf")]
DTYPES = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.bool,
    torch.complex64,
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model, an empty file, a file of noise, an empty folder."""
    home = tmp_path_factory.mktemp("fuzz")
    model = save(tiny_language_model(), home / "model")
    (home / "empty").touch()
    (home / "garbage").write_bytes(bytes(range(256)) * 8)
    (home / "folder").mkdir()
    return {"MODEL": model, "EMPTY": home / "empty", "GARBAGE": home / "garbage", "FOLDER": home / "folder"}


def check(line: tuple[str, list[str]], places: dict[str, Path]) -> None:
    code, err = outcome(*line, places)
    assert code in EXIT_CODES, (line, code)
    assert "Traceback" not in err, line
    assert code != 2 or err.strip(), line


tensors = st.builds(
    lambda shape, dtype, values: torch.tensor(
        [values[i % len(values)] for i in range(int(torch.tensor(shape).prod()) if shape else 1)]
    ).reshape(shape).to(dtype),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(DTYPES),
    st.lists(st.one_of(st.sampled_from(FLOATS), st.floats(-50, 50)), min_size=1, max_size=5),
)  # fmt: skip
temperatures = st.one_of(st.sampled_from([*FLOATS, -1.0]), st.floats(0.01, 10))


def check_measure(logits: torch.Tensor, perturbed: torch.Tensor, temperature: float) -> None:
    try:
        drift = measure(logits, perturbed, temperature)
    except (ValueError, TypeError) as error:
        sentence = str(error).strip()
    else:
        sentence = ""
        assert isinstance(drift, Drift)
        assert not bool(drift.kl.isnan().any())
    assert "\n" not in sentence


@given(tensors, tensors, temperatures)
def test_measure_measures_or_says_why_not(logits: torch.Tensor, perturbed: torch.Tensor, t: float) -> None:
    check_measure(logits, perturbed, t)
    check_measure(logits, logits, t)


def test_no_line_ends_in_a_traceback(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    @settings(max_examples=15)
    @given(lines())
    def some(line: tuple[str, list[str]]) -> None:
        check(line, places)

    some()


@pytest.mark.slow
def test_for_ten_minutes(places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FUZZ_SECONDS, FUZZ_SEED: how long, and where it starts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "600"))
    number, count = int(os.environ.get("FUZZ_SEED", "0")), 0
    while time.monotonic() < end:

        @seed(number)
        @settings(max_examples=20, derandomize=False, database=None)
        @given(lines(), tensors, tensors, temperatures)
        def some(line: tuple[str, list[str]], x: torch.Tensor, y: torch.Tensor, t: float) -> None:
            nonlocal count
            count += 1
            check(line, places)
            check_measure(x, y, t)

        some()
        number += 1
    print(f"{count} lines and pairs of tensors, seeds {os.environ.get('FUZZ_SEED', '0')} to {number - 1}")


@pytest.mark.parametrize(
    ("app", "command"), [(app, command) for app, commands in COMMANDS.items() for command in commands]
)
def test_the_help_of_every_command_names_the_exit_codes(app: str, command: str) -> None:
    assert COMMANDS[app][command].epilog == EXIT_CODES_OF_EVERY_COMMAND


@pytest.mark.parametrize("name", CHEAP)
def test_what_keeps_lines_short_are_options_that_exist(name: str) -> None:
    """Else every line of that command ends at its first word, and nothing is tried."""
    app, _, command = name.partition(" ")
    known = {option for parameter in COMMANDS[app][command].params for option in parameter.opts}
    assert {word for word in CHEAP[name] if word.startswith("--")} <= known
