"""Files, findings and failures of a run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paper_figs.figure import Table
from paper_figs.runner import make


def test_four_files_and_what_they_say(figure, context, tmp_path):
    assert make([figure], context, tmp_path) == {}
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "small.pdf").read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(tmp_path / "small.csv")) == 3
    sidecar = json.loads((tmp_path / "small.json").read_text())
    assert sidecar["caption"] == "3 rows, seed 0. Seed 0, quick profile."
    assert sidecar["findings"][0]["verdict"] == "holds"
    assert sidecar["provenance"]["setup"]["profile"]["name"] == "quick"


def test_a_table_is_no_picture(figure, context, tmp_path):
    def cells(frame):
        return Table(("step", "value"), tuple((str(step), "$x$") for step in frame["step"]))

    assert make([replace(figure, draw=None, table=cells)], context, tmp_path) == {}
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"small.csv", "small.json"}
    sidecar = json.loads((tmp_path / "small.json").read_text())
    assert sidecar["table"] == {"header": ["step", "value"], "rows": [[step, "$x$"] for step in "012"]}


def test_the_same_data_give_the_same_bytes(figure, context, tmp_path):
    for folder in ("a", "b"):
        make([figure], context, tmp_path / folder)
    for suffix in (".png", ".pdf", ".csv"):
        assert (tmp_path / "a" / f"small{suffix}").read_bytes() == (
            tmp_path / "b" / f"small{suffix}"
        ).read_bytes()


def test_one_failing_figure_does_not_stop_the_others(figure, context, tmp_path):
    def broken(_):
        raise RuntimeError("the reason")

    failed = make([replace(figure, id="broken", compute=broken), figure], context, tmp_path)
    assert list(failed) == ["broken"]
    assert "the reason" in (tmp_path / "broken.error.log").read_text()
    assert (tmp_path / "small.png").exists()
    assert not (tmp_path / "broken.png").exists()


def test_a_drawing_that_fails_is_reported_and_the_next_is_drawn(figure, context, tmp_path):
    def broken(_):
        raise RuntimeError("no ink")

    failed = make([replace(figure, id="broken", draw=broken), figure], context, tmp_path)
    assert list(failed) == ["broken"]
    assert "no ink" in (tmp_path / "broken.error.log").read_text()
    assert (tmp_path / "small.png").exists()


def test_a_failure_that_went_away_takes_its_log_with_it(figure, context, tmp_path):
    (tmp_path / "small.error.log").write_text("old")
    make([figure], context, tmp_path)
    assert not (tmp_path / "small.error.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread draws")
def test_a_killed_run_leaves_no_process_behind(tmp_path):
    script = (
        "import os, signal\n"
        "from paper_figs.drawing import artist\n"
        "with artist([]) as hand:\n"
        "    print(hand._executor.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    drawing = Path("/proc") / done.stdout.strip()
    for _ in range(100):
        if not drawing.exists():
            break
        time.sleep(0.05)
    assert not drawing.exists()
