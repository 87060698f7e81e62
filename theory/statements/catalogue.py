"""The catalogue of theorems: one file per family, one ``Theorem`` per statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from theory.names import UnknownNameError, lookup
from theory.theorems.theorem import Theorem


class Catalogue:
    """Every theorem, by id (``"B5"``) or name (``"kl-oscillation"``); families load when first asked for."""

    @cached_property
    def _theorems(self) -> tuple[Theorem, ...]:
        from theory.statements.families import THEOREMS  # a second of sympy: only once a theorem is asked for

        return tuple(sorted(THEOREMS, key=_order))

    @cached_property
    def _table(self) -> dict[str, Theorem]:
        table: dict[str, Theorem] = {}
        for theorem in self._theorems:
            for key in (theorem.id, theorem.name):
                if key in table:
                    raise ValueError(f"theorem ids and names must be unique, got {key!r} twice")
                table[key] = theorem
        return table

    def __iter__(self) -> Iterator[Theorem]:
        return iter(self._theorems)

    def __len__(self) -> int:
        return len(self._theorems)

    def __getitem__(self, key: str) -> Theorem:
        """The theorem with this id, name, or check key (``"B5.kl_reverse"``).

        Raises
        ------
        UnknownNameError
            Names the nearest ids and names.
        """
        return lookup("theorem", key.split(".", 1)[0], self._table)

    def family(self, letter: str) -> tuple[Theorem, ...]:
        """The theorems of one family, ``"A"`` .. ``"K"`` or ``"T"`` for the paper's.

        Raises
        ------
        UnknownNameError
            If no theorem has that letter.
        """
        members = tuple(theorem for theorem in self if theorem.family == letter)
        if not members:
            letters = sorted({theorem.family for theorem in self})
            raise UnknownNameError(f"unknown family {letter!r}; valid families: {', '.join(letters)}")
        return members


def _order(theorem: Theorem) -> tuple[bool, str, int, str]:
    """By family and number, the paper last; a false statement (``"H1x"``) follows the true one (``"H1"``)."""
    letter, number, suffix = re.fullmatch(r"([A-Z])(\d+)(x?)", theorem.id).groups()  # type: ignore[union-attr]
    return letter == "T", letter, int(number), suffix


catalogue = Catalogue()
