"""Results are computed once for one setup and one state of the code, and survive a killed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import paper_figs.context as context_module
from paper_figs.context import Context
from tests.paper_figs.conftest import small_table


def counting(context: Context, rows: int = 2) -> pd.DataFrame:
    counting.calls += 1
    return small_table(context, rows)


counting.calls = 0


def again(context: Context, **changes) -> Context:
    return Context(replace(context.setup, **changes.pop("setup", {})), context.folder, **changes)


def test_computed_once_in_one_run_and_not_again_in_the_next(context):
    counting.calls = 0
    first = context.recall(counting)
    assert context.recall(counting) is first
    pd.testing.assert_frame_equal(again(context).recall(counting), first)
    assert counting.calls == 1


def test_another_seed_parameter_or_forced_run_is_computed(context):
    counting.calls = 0
    context.recall(counting)
    assert again(context, setup={"seed": 1}).recall(counting)["value"].iloc[0] == 1.5
    assert len(context.recall(counting, rows=5)) == 5
    assert counting.calls == 3
    forced = again(context, force=True)
    forced.recall(counting)
    forced.recall(counting)
    assert counting.calls == 4


def test_a_change_of_the_code_is_another_result(context, monkeypatch):
    counting.calls = 0
    context.recall(counting)
    monkeypatch.setattr(context_module, "fingerprint", lambda module: "changed")
    again(context).recall(counting)
    assert counting.calls == 2


def test_a_local_checkpoint_saved_anew_is_another_model(context, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"old")
    counting.calls = 0
    local = {"setup": {"model": str(tmp_path)}}
    again(context, **local).recall(counting)
    (tmp_path / "model.safetensors").write_bytes(b"newer")
    again(context, setup={"model": str(tmp_path)}).recall(counting)
    assert counting.calls == 2


def test_provenance_of_shared_work_reaches_the_figure(context):
    def shared(ctx):
        ctx.models["toy"] = {"version": "1"}
        return small_table(ctx)

    def outer(ctx):
        return ctx.recall(shared)

    for ctx in (context, again(context)):
        _, provenance = ctx.recall_with_provenance(outer)
        assert provenance["models"] == {"toy": {"version": "1"}}
        assert provenance["setup"]["seed"] == 0
        assert {"torch", "python"} <= set(provenance["versions"])


def test_processor_seconds_are_counted_once_and_reach_whoever_uses_the_work(context):
    def shared(ctx):
        busy = time.process_time() + 0.2
        while time.process_time() < busy:
            pass
        return small_table(ctx)

    def outer(ctx):
        return ctx.recall(shared)

    for ctx in (context, again(context)):
        _, provenance = ctx.recall_with_provenance(outer)
        own = {
            name.split()[0].rpartition(".")[2]: cost for name, cost in provenance["processor_seconds"].items()
        }
        assert own["shared"] >= 0.2 > own["outer"]
    assert context.costs == again(context).recall_with_provenance(outer)[1]["processor_seconds"]


def test_killed_in_the_middle_of_writing_leaves_nothing_that_looks_finished(context, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import sys, time, pathlib, pandas as pd\n"
        "from paper_figs.context import Context, Setup\n"
        "from paper_figs.profiles import PROFILES\n"
        "def done(ctx): return pd.DataFrame({'x': [1]})\n"
        "def slow(ctx):\n"
        "    frame = pd.DataFrame({'x': [2]})\n"
        "    class Slow(pd.DataFrame):\n"
        "        def to_parquet(self, path, **_):\n"
        "            pathlib.Path(path).write_bytes(b'half'); print('writing', flush=True); time.sleep(60)\n"
        "    return Slow(frame)\n"
        "ctx = Context(Setup('m', 'e', 0, 'cpu', PROFILES['quick']), pathlib.Path(sys.argv[1]))\n"
        "def main(): ctx.recall(done); ctx.recall(slow)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, "-c", "import slow; slow.main()", str(tmp_path / "kept")],
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    time.sleep(0.05)
    finished = list((tmp_path / "kept").glob("*.parquet"))
    assert [path.name.split("-")[0] for path in finished] == ["slow.done"]
    assert pd.read_parquet(finished[0])["x"].tolist() == [1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: bytes(range(256)) * 8,
        lambda data: data[:40] + b"????" + data[44:],  # inside a column's page, found by its checksum
        lambda data: data[:-20] + b"?" * 20,
    ],
)
def test_a_damaged_result_is_said_and_made_again(context, damage, capsys):
    counting.calls = 0
    first = context.recall(counting)
    (path,) = context.folder.glob("*.parquet")
    path.write_bytes(damage(path.read_bytes()))
    pd.testing.assert_frame_equal(again(context).recall(counting), first)
    assert counting.calls == 2
    assert "damaged" in capsys.readouterr().err
    pd.testing.assert_frame_equal(again(context).recall(counting), first)
    assert counting.calls == 2  # once, not at every rerun


def test_a_foreign_table_in_its_place_is_made_again(context):
    counting.calls = 0
    first = context.recall(counting)
    (path,) = context.folder.glob("*.parquet")
    pd.DataFrame({"value": [7.0]}).to_parquet(path)
    pd.testing.assert_frame_equal(again(context).recall(counting), first)
    assert counting.calls == 2
