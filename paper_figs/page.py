"""What the report and the explorer share: templates and MathML that every browser draws offline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2
from latex2mathml.converter import convert
from markupsafe import Markup

from theory.formulas.claims import Claim


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
