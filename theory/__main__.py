"""``python -m theory``."""

from theory.command_line import app
from theory.terminal.run import run

run(app)
