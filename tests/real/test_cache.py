from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from real.cache import cache_folder, complete_folder


def test_cache_folder_follows_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOFTMAX_DRIFT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/softmax-drift"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/softmax-drift"
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def has_both(folder: Path) -> bool:
    return (folder / "a").is_file() and (folder / "b").is_file()


def slow_build(folder: Path) -> None:
    with (folder.parent.parent / "builds").open("a") as log:
        log.write("x")
    (folder / "a").write_text("1")
    sleep(0.3)
    (folder / "b").write_text("2")


def build_in_process(folder: Path) -> bool:
    return has_both(complete_folder(folder, slow_build, has_both))


def test_concurrent_processes_build_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        assert all(pool.map(build_in_process, [tmp_path / "model"] * 3))
    assert (tmp_path / "builds").read_text() == "x"


def test_a_failed_build_leaves_nothing_and_a_damaged_folder_is_rebuilt(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def failing(target: Path) -> None:
        (target / "a").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        complete_folder(folder, failing, has_both)
    assert [path.name for path in tmp_path.iterdir()] == [".model.lock"]

    complete_folder(folder, slow_build, has_both)
    (folder / "b").unlink()
    complete_folder(folder, slow_build, has_both)
    assert has_both(folder)


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".model.partial-abc").mkdir()
    complete_folder(tmp_path / "model", slow_build, has_both)
    assert not (tmp_path / ".model.partial-abc").exists()
