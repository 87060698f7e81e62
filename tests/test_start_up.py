"""Help, versions and typing errors come at once: nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "sympy", "pandas", "scipy", "matplotlib", "lm_eval")
PROBE = f"""
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as stopped:
    code = stopped.code or 0
print("loaded:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""
PACKAGES = ("theory", "sim", "real", "paper_figs")
REAL = ("models", "tasks", "forecast", "record", "evaluate", "validate", "anatomy", "prune", "trace")
SIM = ("sweep", "attack", "table", "curves", "regimes", "chain")


@pytest.mark.parametrize(
    "words",
    [
        *(f"{package} {option}" for package in PACKAGES for option in ("--help", "--version")),
        "paper_figs --list",
        *(f"theory {command} --help" for command in ("list", "show", "verify", "export")),
        *(f"sim {command} --help" for command in SIM),
        *(f"real {command} --help" for command in REAL),
    ],
)
def test_help_and_version_import_nothing_heavy(words: str) -> None:
    code, loaded = _run(words)
    assert code == 0
    assert loaded == "loaded:"


@pytest.mark.parametrize(
    "words",
    [
        "real forecast smollm2-135m atn:4",
        "real forecast smollm2-135m attn:2 --samples none",
        "real evaluate smollm2-135m wanda:2:4:8",
        "real prune smollm2-135m attn: --out x",
        "real trace smollm2-135m attn:2 --out trace.txt",
        "real validate smollm2-135m",
        "sim sweep --draws 1.5",
        "sim sweep --draws many",
        "sim sweep --vocabularies ,",
        "sim sweep --logits no-such-file.npy",
        "sim sweep --workers 0",
        "sim sweep --workers 1000000",
        "sim sweep --draws 1e15",
        "sim sweep --vocabularies 1e12",
        "sim sweep --draws \u0661\u0660",
        "sim regimes --draws 0",
        "sim regimes --vocabulary 1e12",
        "sim curves --draws 1e15",
        "sim chain --noise nan",
        "sim chain --noise inf",
        "sim chain --samples 0",
        "sim chain --samples 1000000000000",
        "sim regimes --out regimes.xlsx",
        "sim nonsense",
        "theory show",
        "theory verify --json",
        "paper_figs --quick --full",
        "paper_figs --seed -1",
        "paper_figs --only fig99",
    ],
)
def test_wrong_arguments_end_at_once_with_exit_code_2(words: str) -> None:
    code, loaded = _run(words)
    assert code == 2
    assert loaded == "loaded:"


def _run(words: str) -> tuple[int, str]:
    """Exit code, and the line that names the heavy modules that were loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words.split()], capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]
