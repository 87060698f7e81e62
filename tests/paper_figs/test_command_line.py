"""The command line as a user meets it."""

from __future__ import annotations

import importlib
from functools import partial

import pytest

from paper_figs.catalogue import FIGURES
from paper_figs.command_line import app, choose, spread
from paper_figs.contents import CONTENTS, Entry
from theory.terminal.run import run


@pytest.fixture
def paper_figs(monkeypatch, tmp_path, capfd):
    """Run the command with some words; return exit code, stdout and stderr."""
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["paper_figs", *words])
        with pytest.raises(SystemExit) as stop:
            run(app)
        return int(stop.value.code or 0), *capfd.readouterr()

    return call


def test_list_names_every_figure(paper_figs):
    code, out, _ = paper_figs("--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(FIGURES)
    for line in out.splitlines():
        importlib.import_module(line.split()[-1])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--only", "fig4"], "fig04"),
        (["--skip", "fg06"], "fig06"),
        (["--only", "fig04", "--model", "smolm2-135m"], "smollm2-135m"),
        (["--quick", "--full"], "exclude"),
        (["--only", "fig04", "--skip", "fig04"], "nothing is made"),
        (["--only", "fig04", "--device", "nonsense"], "device 'nonsense' is not available"),
        (["--only", "fig04", "--device", ""], "device '' is not available"),
        (["--only", "fig04", "--model", ""], "no *.safetensors"),
        (["--only", "fig04", "--out", "/dev/null"], "cannot be written"),
        (["--only", "fig04", "--out", "/dev/null/x"], "cannot be written"),
        (["--only", "fig04", "--out", "~nouser/x"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(words, named, paper_figs, tmp_path):
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    code, _, err = paper_figs(*words, *out)
    assert code == 2
    assert named in err
    assert len(err.strip().splitlines()) == 1, err


def test_only_and_skip_take_several_ids():
    assert spread(["--only", "a", "b", "--quick", "--skip", "c"]) == [
        *("--only", "a", "--only", "b"),
        "--quick",
        *("--skip", "c"),
    ]
    assert spread(["--out", "folder", "--seed", "3"]) == ["--out", "folder", "--seed", "3"]


def test_choice_keeps_catalogue_order():
    names = list(FIGURES)
    assert choose(names[1::-1], []) == names[:2]
    assert choose([], names[:1]) == names[1:]


def test_contents_are_those_of_the_catalogue():
    """Reading them imports no figure, so they are written down, and equal what the figures say."""

    def made_by(figure):
        compute = figure.compute.func if isinstance(figure.compute, partial) else figure.compute
        return Entry(compute.__module__.removeprefix("paper_figs.gallery."), figure.title, figure.section)

    assert list(CONTENTS.items()) == [(name, made_by(figure)) for name, figure in FIGURES.items()]


@pytest.mark.parametrize("name", list(FIGURES))
def test_every_figure_is_complete(name):
    figure = FIGURES[name]
    assert figure.id == name
    assert figure.title
    for claim in figure.claims:
        assert claim.text
        assert claim.source
        assert claim.rule
