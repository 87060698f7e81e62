from real.cli import app
from theory.command_line import run

run(app)
