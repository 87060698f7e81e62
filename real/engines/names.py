"""Which names are models that transformers do not run; light, because command lines ask it first."""

from __future__ import annotations

from collections.abc import Iterable

from real.models.registry import SOURCES
from real.records.record import is_record

GGUF = ".gguf"
SERVED = ("http://", "https://")


def needs_engine(name: str) -> bool:
    """Whether ``name`` is run by something else than transformers."""
    model, at, _ = name.partition("@")
    return is_served(name) or name.endswith(GGUF) or bool(at and model in SOURCES)


def is_served(name: str) -> bool:
    """Whether ``name`` is the address of a server."""
    return name.startswith(SERVED)


def by_record(names: Iterable[str]) -> bool:
    """Whether one of the names is a record, or a model that transformers does not run."""
    return any(is_record(name) or needs_engine(name) for name in names)
