"""The catalogue as a whole: complete, named, verified; the command line; the LaTeX appendix."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import theory
from theory import catalogue, statements
from theory.command_line import app
from theory.formulas.claims import Bound, at_most
from theory.formulas.symbols import oscillation
from theory.instances.two_atom_laws import swap
from theory.proofs.step import Method, argument
from theory.proofs.symbolic import identity
from theory.statements.places import place
from theory.theorems.latex import document, section
from theory.theorems.theorem import Counterexample, Status, Theorem, Witness
from theory.theorems.verify import verify_one

ROOT = Path(theory.__path__[0]).parent

EXPECTED = {
    **{"A": 7, "B": 10, "D": 6, "E": 7, "F": 9, "G": 14, "H": 6, "I": 4, "J": 7, "K": 12, "T": 3},
}


SHARP = (
    "A6 B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 C0 C2 C3 C4 C5 C6 C8 D1 D2 D3 D5 D6 E1 E4 E6 E7 F6 F9 "
    "G1 G2 G3 G4 G6 G7 G9 G11 G14 H1 H3 H4 J2 J4 J5 J7 K0 K1 K2 K9"
)
FALSE = "A5x B6x C6x C7x E2x E3x E4x E5x F5x F8x G3x G12 G14x H1x H5x H6x J2x J4x K1x K4x K6x"
ASYMPTOTIC = "E5 F4 G13 K10 T1 T2 T3"


@pytest.mark.parametrize("theorem", catalogue, ids=lambda theorem: theorem.id)
def test_steps_witnesses_claims_and_counterexamples_hold(theorem: Theorem) -> None:
    record = verify_one(theorem)
    assert record.passed, [finding for finding in record.findings if not finding.passed]


@pytest.mark.parametrize("theorem", catalogue, ids=lambda theorem: theorem.id)
def test_latex_shows_every_formula_and_closes_every_brace(theorem: Theorem) -> None:
    text = section(theorem)
    for claim in theorem.claims:
        for formula in (*claim.bounds, *filter(None, [claim.estimate])):
            assert formula.latex() in text
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert text.count(r"\[") == text.count(r"\]")


@pytest.mark.parametrize("key", [key for key in SHARP.split() if key[0] in "GJK"])
def test_with_bounds_one_percent_off_every_witness_misses(key: str) -> None:
    def off(bound: Bound | None) -> Bound | None:
        factor = 1.01 if bound is not None and bound.side == "upper" else 0.99
        return bound and dataclasses.replace(bound, expression=bound.expression * factor)

    theorem = catalogue[key]
    claims = tuple(
        dataclasses.replace(claim, lower=off(claim.lower), upper=off(claim.upper)) for claim in theorem.claims
    )
    record = verify_one(dataclasses.replace(theorem, claims=claims, derivation=(), limit=None))
    witnesses = [finding for finding in record.findings if finding.kind == "witness"]
    assert witnesses
    assert not any(finding.passed for finding in witnesses)


def test_no_status_changes_unnoticed() -> None:
    def having(status: Status) -> list[str]:
        return [theorem.id for theorem in catalogue if theorem.status is status]

    assert having(Status.SHARP) == SHARP.split()
    assert having(Status.FALSE) == FALSE.split()
    assert having(Status.ASYMPTOTIC) == ASYMPTOTIC.split()
    assert having(Status.NUMERICAL) == ["J3"]


def test_every_statement_is_catalogued() -> None:
    ids = {theorem.id for theorem in catalogue}
    wanted = {f"{family}{k}" for family, count in EXPECTED.items() for k in range(1, count + 1)}
    wanted |= {"K0", *(f"C{k}" for k in range(10))}
    assert wanted <= ids


def test_names_and_families() -> None:
    for theorem in catalogue:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", theorem.name)
        assert catalogue[theorem.id] is catalogue[theorem.name] is theorem
        assert theorem in catalogue.family(theorem.family)
    with pytest.raises(ValueError, match="valid families"):
        catalogue.family("Z")


def test_order_is_by_family_with_the_paper_last() -> None:
    ids = [theorem.id for theorem in catalogue]
    assert ids[0] == "A1"
    assert ids[-3:] == ["T1", "T2", "T3"]
    assert ids.index("B2") < ids.index("B10") < ids.index("C0")


def test_sharp_and_false_carry_their_evidence() -> None:
    for theorem in catalogue:
        assert theorem.status is not Status.SHARP or theorem.witnesses, theorem.id
        assert theorem.status is not Status.FALSE or theorem.counterexample, theorem.id
        assert theorem.derivation or theorem.counterexample, theorem.id


@pytest.mark.parametrize(
    "folder", sorted(p.parent.name for p in Path(statements.__path__[0]).glob("*/__init__.py"))
)
def test_a_folder_lists_its_theorems(folder: str) -> None:
    module = importlib.import_module(f"theory.statements.{folder}")
    listed = " ".join(module.__doc__.split()).rsplit(": ", 1)[1].removesuffix(".").split(", ")
    assert listed == [theorem.id for theorem in catalogue if theorem in module.THEOREMS]


@pytest.mark.parametrize("theorem", catalogue, ids=lambda theorem: theorem.id)
def test_a_theorem_is_found_in_its_file(theorem: Theorem) -> None:
    path, line = place(theorem.id)
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert theorem in vars(module).values()
    assert "Theorem(" in path.read_text(encoding="utf-8").splitlines()[line - 1]


def broken(**changes: object) -> Theorem:
    base: dict[str, object] = {
        "id": "Z1",
        "name": "broken",
        "title": "t",
        "statement": "s",
        "status": Status.VALID,
        **changes,
    }
    return Theorem(**base)  # type: ignore[arg-type]


def test_verify_sees_what_is_wrong() -> None:
    from theory.formulas.symbols import tv

    wrong_claim = at_most(tv, oscillation / 5)
    loose = at_most(tv, oscillation / 4, decreasing=("oscillation",))
    cases = [
        broken(derivation=(identity("false", oscillation, 2 * oscillation),)),
        broken(claims=(wrong_claim,)),
        broken(claims=(loose,)),
        broken(claims=(at_most(tv, oscillation / 4),), witnesses=(Witness("not attained", swap),)),
        broken(status=Status.SHARP),
        broken(status=Status.FALSE),
        broken(status=Status.FALSE, counterexample=Counterexample("refutes nothing", lambda: (1, 2))),
    ]
    assert not any(verify_one(theorem).passed for theorem in cases)


def test_words_are_labelled_as_words() -> None:
    assert argument("so it is").method is Method.ARGUED


def test_latex_is_balanced() -> None:
    text = document(catalogue)
    assert text.count(r"\[") == text.count(r"\]")
    assert len(re.findall(r"\\left(?![a-z])", text)) == len(re.findall(r"\\right(?![a-z])", text))
    begins, ends = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begins) == sorted(ends)
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", text.replace(r"\\", "")):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert all(ord(character) < 0x2000 for character in text)
    for theorem in catalogue:
        assert f"subsection*{{{theorem.id}. " in text


def test_command_line_lists_shows_verifies_and_exports(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        return result.stdout

    assert "B5" in run()
    shown = run("show", "kl-oscillation")
    assert "proved symbolically" in shown
    assert str(place("B5")) in shown
    (record,) = json.loads(run("verify", "--json", "-", "B1"))
    assert record["id"] == "B1"
    assert record["passed"]
    assert "1 of 1" in run("verify", "tv-oscillation")
    run("export", "--latex", str(tmp_path / "bounds.tex"))
    assert (tmp_path / "bounds.tex").read_text().endswith("\\end{document}\n")


def test_command_line_answers_an_unknown_name_with_one_sentence() -> None:
    command = [sys.executable, "-m", "theory", "show", "kl-osculation"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "kl-oscillation" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_failing_verification_exits_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue._table, "Z1", broken(status=Status.SHARP))
    result = CliRunner().invoke(app, ["verify", "Z1"])
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
