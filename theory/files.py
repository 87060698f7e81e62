"""Where files live, and how one is written: a reader sees the old one or the whole new one, never a half."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it to ``path`` if the block succeeds, remove it if not.

    The temporary name keeps the suffix, because writers choose a format by it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as folder:
        partial = Path(folder) / target.name
        yield partial
        os.replace(partial, target)


def cache_folder() -> Path:
    """``$SOFTMAX_DRIFT_CACHE``, else ``$XDG_CACHE_HOME/softmax-drift``, else ``~/.cache/softmax-drift``."""
    if own := os.environ.get("SOFTMAX_DRIFT_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "softmax-drift"


def expanded(path: str | os.PathLike[str]) -> Path:
    """``path`` with ``~`` for a home; as it stands where there is no such home (``~nobody``)."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_writable(path: str | os.PathLike[str]) -> Path:
    """``path`` expanded, if a file or folder can be put there: asked by trying, before the work begins.

    Raises
    ------
    ValueError
        It lies below a file or in a home that does not exist, or its folder takes no files.
    """
    target = expanded(path)
    if target.parts[:1] and target.parts[0].startswith("~"):
        raise ValueError(f"{str(path)!r} cannot be written: there is no home {target.parts[0]!r}")
    above = next(folder for folder in target.absolute().parents if os.path.lexists(folder))
    try:
        with tempfile.TemporaryDirectory(dir=above, prefix=".partial-"):
            pass
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be written: {error.strerror} ({above})") from None
    return target
