"""Functions that textbook formulas compute badly, each with a definition and a safe form."""
