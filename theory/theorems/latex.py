"""The catalogue as a LaTeX document: statements, formulas, derivations, each step with how it was checked."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from theory.formulas.claims import Claim
from theory.formulas.functions.registry import stable_functions
from theory.formulas.safe_forms import Expression
from theory.formulas.symbols import latex_names
from theory.proofs.step import Step
from theory.theorems.theorem import Theorem

_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb,amsthm}
\usepackage[margin=2.5cm]{geometry}
\allowdisplaybreaks
\emergencystretch=3em
\newtheorem*{statement}{Statement}
\begin{document}
\title{Bounds on softmax drift}
\author{softmax-drift}
\maketitle
\noindent Generated from the catalogue; every formula is the expression that the code evaluates. $p$ is the
dense distribution, $q$ the perturbed one, $\delta=(z'-z)/T$, $R=\max\delta-\min\delta$.
"""

_SIGNS = {"lower": r"\ge", "upper": r"\le"}

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
}


def plain(text: str) -> str:
    """Text with TeX's special characters escaped."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def formula(expression: Expression) -> str:
    """One expression in the report's notation."""
    names = latex_names(getattr(expression, "free_symbols", set()))
    return str(sp.latex(expression, symbol_names=names))


def claim_latex(claim: Claim) -> str:
    """The claim's relations as displayed equations."""
    quantity = formula(claim.quantity)
    if claim.exact and claim.upper is not None:
        relations = [rf"{quantity} = {claim.upper.latex()}"]
    else:
        relations = [
            rf"{quantity} {_SIGNS[bound.side]} {bound.latex()}{_condition(bound.when)}"
            for bound in claim.bounds
        ]
    if claim.estimate is not None:
        relations.append(rf"{quantity} \approx {claim.estimate.latex()}")
    return "\n".join(rf"\[{relation}\]" for relation in relations)


def _condition(when: Expression | None) -> str:
    return "" if when is None else rf"\qquad\text{{if }} {formula(when)}"


def theorem_latex(theorem: Theorem) -> str:
    """Statement and formulas of one theorem."""
    return "\n".join([plain(theorem.statement), *(claim_latex(claim) for claim in theorem.claims)])


def _step_latex(step: Step) -> str:
    text = rf"\item {plain(step.text)} \emph{{({plain(step.method)})}}"
    return text if step.equation is None else f"{text}\n\\[{formula(step.equation)}\\]"


def section(theorem: Theorem) -> str:
    """One theorem with its proof steps, witnesses and limit."""
    hypotheses = plain("; ".join(theorem.hypotheses))
    lines = [
        rf"\subsection*{{{theorem.id}. {plain(theorem.title)}}}",
        rf"\noindent Status: \textbf{{{theorem.status}}}. Hypotheses: {hypotheses}.",
        rf"\begin{{statement}}{theorem_latex(theorem)}\end{{statement}}",
    ]
    steps = [_step_latex(step) for step in (*theorem.derivation, *([theorem.limit] if theorem.limit else []))]
    if steps:
        lines += [r"\begin{enumerate}", *steps, r"\end{enumerate}"]
    lines += [rf"\noindent Witness: {plain(witness.text)}.\par" for witness in theorem.witnesses]
    if theorem.counterexample is not None:
        lines.append(rf"\noindent Counterexample: {plain(theorem.counterexample.text)}.\par")
    return "\n".join(lines)


def glossary() -> str:
    """The definitions of the functions that the formulas use."""
    entries = []
    for function in stable_functions():
        letters = sp.symbols("x y z" if function.nargs == {3} else "x y", positive=True)[
            : max(function.nargs)
        ]
        value = f"{formula(function(*letters))} &= {formula(function.definition(*letters))}"
        entries.append(value)
    lines = "\\\\\n".join(entries)
    return f"\\section*{{Functions}}\n\\begin{{align*}}\n{lines}\n\\end{{align*}}"


def document(theorems: Iterable[Theorem]) -> str:
    """A document that compiles by itself."""
    sections = (section(theorem) for theorem in theorems)
    return "\n\n".join([_PREAMBLE, *sections, glossary(), r"\end{document}"]) + "\n"
