"""Entry point of ``python -m paper_figs``."""

from paper_figs.command_line import app
from theory.command_line import run

if __name__ == "__main__":
    run(app)
