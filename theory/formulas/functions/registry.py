"""Every ``Stable`` function that formulas may use; a new file of functions is added here."""

from __future__ import annotations

from collections.abc import Iterator

from theory.formulas.functions import elementary, factors, two_atom_bounds, two_atoms
from theory.formulas.safe_forms import Stable

_FILES = (elementary, factors, two_atoms, two_atom_bounds)


def stable_functions() -> list[type[Stable]]:
    """Every concrete ``Stable`` function of the files above, by name."""
    files = {file.__name__ for file in _FILES}
    found = (function for function in _concrete(Stable) if function.__module__ in files)
    return sorted(found, key=lambda function: str(function.__name__))


def _concrete(base: type[Stable]) -> Iterator[type[Stable]]:
    for child in base.__subclasses__():
        if hasattr(child, "latex_name"):
            yield child
        yield from _concrete(child)
