"""Entry point of ``python -m real``."""

import os

# Threads that spin while they wait for each other cost a busy machine minutes; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from real.command_line import app
from theory.terminal.run import run

if __name__ == "__main__":
    run(app)
