"""Safe forms: they agree with the definitions, in NumPy and in JavaScript."""

import json
import shutil
import subprocess

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import catalogue
from theory.bounds.estimate_error import largest_oscillation, relative_error
from theory.formulas.accuracy import accuracy
from theory.formulas.formula import Formula
from theory.formulas.functions.elementary import kl_max
from theory.formulas.functions.helpers import helpers
from theory.formulas.functions.two_atom_bounds import edge_kl, edge_kl_reverse, edge_log_cos
from theory.formulas.safe_forms import Stable
from theory.formulas.symbols import parameter
from theory.instances.instance import DIGITS, adversarial

NODE = shutil.which("node")


def test_a_wrong_safe_form_is_seen() -> None:
    class wrong(Stable):
        nargs = 1
        latex_name = "w"
        domain = ((0.0, 10.0),)
        definition = kl_max.definition

        @classmethod
        def safe(cls, R: sp.Expr) -> sp.Expr:
            return kl_max.definition(R)  # the textbook formula cancels

    assert accuracy(wrong).error > 0.1
    assert accuracy(kl_max).error < 1e-15


def test_edge_functions_do_not_underflow_where_an_atom_is_tiny() -> None:
    # A peaked p: one atom of mass 1e-230 at the end of a long lever. x^2 is 0 in float64, the ratio is not.
    variance, edge = sp.symbols("variance edge")
    for function in (edge_kl, edge_kl_reverse, edge_log_cos):
        formula = Formula(function(variance, edge))
        for x in (1e-231, -1e-231):
            values = {"variance": 1e-230, "edge": x}
            with mpmath.workdps(600):
                exact = formula.exact(**values)
            assert exact > 0
            assert formula(**values) == pytest.approx(float(exact), rel=1e-12, abs=0)


CLAIMS = [
    (theorem.id, k, bound)
    for theorem in catalogue
    for k, claim in enumerate(theorem.claims)
    if claim.measurable
    for bound in claim.bounds
]


def statistics_of(bound: Formula) -> list[dict[str, float]]:
    """Float64 statistics of some instances of moderate oscillation."""
    rows = []
    with mpmath.workdps(DIGITS):
        for instance in adversarial()[::7]:
            if instance.column("oscillation") <= 50:
                rows.append({name: float(instance.column(name)) for name in bound.symbols})
    return rows


@pytest.mark.parametrize(
    "bound", [bound for _, _, bound in CLAIMS], ids=[f"{t}-{k}-{b.side}" for t, k, b in CLAIMS]
)
def test_generated_float64_code_agrees_with_high_precision(bound: Formula) -> None:
    for row in statistics_of(bound):
        value = float(Formula(bound.expression)(**row))
        with mpmath.workdps(3 * DIGITS):
            exact = mpmath.re(bound.exact(**row))
            # Rounded statistics may be inconsistent by an ulp: allow the formula's own sensitivity to an ulp.
            moved = [{**row, name: row[name] * (1 + 2.3e-16)} for name in row]
            slack = sum(abs(mpmath.re(bound.exact(**there)) - exact) for there in moved)
            assert abs(value - exact) <= 1e-11 * abs(exact) + 2 * slack + 1e-280, row


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_generated_javascript_agrees_with_numpy() -> None:
    bounds = [bound for _, _, bound in CLAIMS]
    rows = [statistics_of(bound)[::3] for bound in bounds]
    calls = [
        f"({bound.javascript()})({', '.join(repr(row[name]) for name in bound.symbols)})"
        for bound, own in zip(bounds, rows, strict=True)
        for row in own
    ]
    script = (
        helpers()
        + "\nconst all = ["
        + ",\n".join(calls)
        + "];\nconsole.log(JSON.stringify(all.map(String)));"
    )
    output = subprocess.run([str(NODE), "-"], input=script, capture_output=True, text=True, check=True).stdout
    got = np.array([float(text.replace("Infinity", "inf")) for text in json.loads(output)])
    expected = np.array(
        [
            float(Formula(bound.expression)(**row))
            for bound, own in zip(bounds, rows, strict=True)
            for row in own
        ]
    )
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-290)


@given(st.sampled_from(["T2", "T3", "D2"]), st.floats(1e-4, 0.9))
def test_largest_oscillation_inverts_relative_error(estimate: str, error: float) -> None:
    assert relative_error(estimate, largest_oscillation(estimate, error)) == pytest.approx(error, rel=1e-9)


def test_guaranteed_errors_reproduce_the_table() -> None:
    table = {
        0.01: (0.00994, 0.0298, 0.346),
        0.05: (0.0486, 0.145, 0.767),
        0.10: (0.0946, 0.279, 1.07),
        0.25: (0.219, 0.635, 1.65),
        0.50: (0.393, 1.11, 2.25),
    }
    for error, expected in table.items():
        found = [largest_oscillation(estimate, error) for estimate in ("T2", "T3", "D2")]
        assert found == pytest.approx(expected, rel=5e-3)


def test_bad_requests_get_one_sentence() -> None:
    with pytest.raises(ValueError, match="R must be at least 0, got -1"):
        relative_error("T2", -1)
    with pytest.raises(ValueError, match="error must be positive"):
        largest_oscillation("T3", 0.0)
    with pytest.raises(ValueError, match="nearest valid names"):
        relative_error("T4", 1.0)
    with pytest.raises(ValueError, match="must not be a column"):
        parameter("kl", "k", "clash")
    with pytest.raises(ValueError, match="missing: oscillation"):
        catalogue["B1"].upper()
