"""What the report and the explorer share: templates and MathML that every browser draws offline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2
from latex2mathml.converter import convert
from markupsafe import Markup

from theory.formulas.claims import Claim
from theory.formulas.symbols import MEANINGS, Meaning
from theory.theorems.theorem import Theorem

FAMILIES = {
    "A": "identities: cosines and divergences",
    "B": "bounds by the oscillation R",
    "C": "bounds by a variance and R",
    "D": "weights of both models",
    "E": "temperature, head and norm",
    "F": "random noise on hidden states and logits",
    "G": "sequences: free running, coupling, decoding",
    "H": "choices: options, scores, retrieval",
    "I": "floating point",
    "J": "forecast from dense samples",
    "K": "scores and bets",
    "T": "the paper's three theorems",
}
"""What the theorems of each letter are about."""


def render(package: str, **values: object) -> str:
    """Fill ``template.html`` of ``package``; text is escaped unless it is ``Markup``."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(text(package, "template.html")).render(**values)
    return page.encode("utf-8", "backslashreplace").decode()  # half letters have no UTF-8


def text(package: str, name: str) -> Markup:
    """A text file of ``package``, to be put in a page as it is."""
    return Markup(files(package).joinpath(name).read_text(encoding="utf-8"))


@cache
def mathml(latex: str) -> Markup:
    """``latex`` as a MathML element."""
    return Markup(convert(latex))


def claim_latex(claim: Claim) -> str:
    """A theorem's claim as one line: lower bound, quantity, upper bound, estimate."""
    line = claim.measured.latex()
    if claim.exact and claim.upper:
        line += f" = {claim.upper.latex()}"
    else:
        line = (rf"{claim.lower.latex()} \le " if claim.lower else "") + line
        line += rf" \le {claim.upper.latex()}" if claim.upper else ""
    return line + (rf" \approx {claim.estimate.latex()}" if claim.estimate else "")


def symbols_of(theorem: Theorem) -> list[Meaning]:
    """What the symbols of the theorem's formulas stand for."""
    formulas = [
        part for claim in theorem.claims for part in (claim.measured, *claim.bounds, claim.estimate) if part
    ]
    names = dict.fromkeys(name for formula in formulas for name in formula.symbols)
    return [MEANINGS[name] for name in names if name in MEANINGS]
