"""``python -m theory``."""

from theory.command_line import app
from theory.entry import run

run(app)
