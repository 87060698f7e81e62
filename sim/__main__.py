"""``python -m sim``."""

from sim.command_line import main

main()
