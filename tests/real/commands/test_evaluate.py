"""``real evaluate`` without variants: what the dense model can do, and where there is nothing to lose."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from real.commands.evaluate_output import baseline_table
from real.tasks.summary import summarise
from tests.real.conftest import Command


def items(task: str, right: int, of: int) -> pd.DataFrame:
    rows = [
        {"spec": "dense", "task": task, "item": index, "correct": float(index < right)} for index in range(of)
    ]
    return pd.DataFrame(rows).assign(prediction="0")


def shown(*tables: pd.DataFrame) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(baseline_table(summarise(pd.concat(tables)), "a model"))
    return out.getvalue()


@pytest.mark.parametrize(("right", "signal"), [(45, "yes"), (26, "none"), (5, "none")])
def test_signal_is_a_lower_limit_above_chance(right: int, signal: str) -> None:
    """piqa has two options: 45 of 50 is more than guessing, 26 is not."""
    (line,) = (line for line in shown(items("piqa", right, 50)).splitlines() if "piqa" in line)
    assert f" {right / 50:.2f} [" in line
    assert line.split()[-1] == signal
    assert "0.50" in line


def test_a_task_without_chance_needs_more_than_one_percent() -> None:
    told = shown(items("copy-1", 0, 40), items("copy-2", 9, 40))
    lines = {
        line.split()[0]: line.split()[-1] for line in told.splitlines() if line.strip().startswith("copy")
    }
    assert lines == {"copy-1": "none", "copy-2": "yes"}


def test_from_the_command_line(real_command: Command, folder: str) -> None:
    code, told, remarks = real_command("evaluate", folder, "--tasks", "agreement,copy-1", "--limit", "4")
    assert code == 0, remarks
    assert "signal" in told
    assert "McNemar" not in told
    assert [
        line.split()[1] for line in told.splitlines() if line.strip().startswith(("agreement", "copy-1"))
    ] == ["4", "4"]
