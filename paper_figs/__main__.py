"""Entry point of ``python -m paper_figs``."""

import os

# Threads that spin while they wait for each other cost a busy machine minutes; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Libraries below draw bars of their own over ours; this is read when tqdm is first imported.
os.environ.setdefault("TQDM_DISABLE", "1")

from paper_figs.command_line import app
from theory.terminal.run import run

if __name__ == "__main__":
    run(app)
