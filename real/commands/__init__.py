"""One file per group of subcommands; each defines functions that ``real.command_line`` registers."""
