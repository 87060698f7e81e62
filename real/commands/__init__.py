"""One file per group of subcommands; each defines functions that ``real.cli`` registers."""
