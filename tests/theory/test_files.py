"""Files appear whole or not at all, and a place that takes none is known before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from theory.files import atomic_path, check_writable, expanded


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "table.csv"
    for text in ("old", "new"):
        with atomic_path(target) as partial:
            partial.write_text(text)

    def fails() -> None:
        with atomic_path(target) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fails()
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["table.csv"]


def test_a_home_that_is_not_there_is_a_name_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert expanded("~/a") == Path("/somewhere/a")
    assert expanded("~nobody-of-that-name/a") == Path("~nobody-of-that-name/a")


@pytest.mark.parametrize(
    "place", ["/proc/new/file", "~nobody-of-that-name/file", "{file}/below", "/dev/null/x"]
)
def test_a_place_that_takes_no_file(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="cannot be written"):
        check_writable(place.format(file=tmp_path / "file"))
    assert check_writable(tmp_path / "new" / "file") == tmp_path / "new" / "file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
