"""Pages generated from the package: every theorem, and how to read every figure."""

from __future__ import annotations

import html
from collections.abc import Iterable

from paper_figs.catalogue import FIGURES
from paper_figs.figure import Figure, Whose
from paper_figs.page import FAMILIES, claim_latex, mathml, symbols_of
from theory import catalogue
from theory.theorems.theorem import Theorem


def theorem_pages() -> dict[str, str]:
    """``theorems.md``: symbols, then every theorem by family."""
    lines = [
        "# Theorems",
        "",
        f"{len(catalogue)} statements, generated from the package; each formula is the expression that the "
        "code "
        "evaluates. `python -m theory show ID` prints one with its proof, `python -m theory verify` checks "
        "all.",
        "",
        "*p* is the dense distribution, *q* the perturbed one, *δ* = (z' - z)/T the change of the logits.",
    ]
    for letter, title in FAMILIES.items():
        members = [theorem for theorem in catalogue if theorem.family == letter]
        if members:
            lines += ["", f"## {letter}: {title}", ""]
            lines += [line for theorem in members for line in _theorem(theorem)]
    return {"theorems.md": "\n".join(lines) + "\n"}


def _theorem(theorem: Theorem) -> Iterable[str]:
    yield f"### {theorem.id} {html.escape(theorem.title)} {{ #{theorem.id} }}"
    yield ""
    yield f"*{theorem.status}* · `{theorem.name}` · hypotheses: {html.escape('; '.join(theorem.hypotheses))}"
    yield ""
    yield html.escape(theorem.statement)
    yield ""
    for claim in (one for one in theorem.claims if one.bounds or one.estimate):
        yield f'<p class="formula" tabindex="0">{mathml(claim_latex(claim))}</p>'
        yield ""
    meanings = symbols_of(theorem)
    if meanings:
        yield f"<p>{'; '.join(f'{mathml(one.latex)} {html.escape(one.text)}' for one in meanings)}</p>"
        yield ""
    for witness in theorem.witnesses:
        yield f"Attained or approached by: {html.escape(witness.text)}"
        yield ""
    if theorem.counterexample is not None:
        yield f"Counterexample: {html.escape(theorem.counterexample.text)}"
        yield ""
    if theorem.derivation:
        yield '??? note "Proof steps"'
        yield ""
        for step in theorem.derivation:
            yield f"    1. {html.escape(step.text)} *({html.escape(step.method)})*"
        yield ""
    if theorem.source:
        yield f"Source: {html.escape(theorem.source)}"
        yield ""


_READING = """# How to read each figure

`python -m paper_figs` writes every figure with its data (CSV), a PDF and a JSON file that says where its numbers come
from; `index.html` in the same folder is the report.

**One colour means one thing**: blue is the hidden state *h*, green the logits *z*, vermilion the probabilities *p*; orange
is the paper's estimate, purple ours, black the truth, grey what is proved. **A title is the figure's message**, computed
from the data that it shows.

**Verdicts.** A rule turns numbers with 95 % limits into a verdict. *Holds*, *holds partly* and *does not hold here* are
said only if every value within the limits leads to them; otherwise the claim is *undecided here*, and more prompts
decide it. *Not tested*: the claim's condition never occurred. Theorems are *as proved*: numbers laid beside them check
the code and are not counted as findings.

**Kept above chance**, in every figure of tasks: (score - chance) / (dense score - chance). 100 % is the dense model, 0 %
guessing.
"""


def figures_page() -> str:
    """``figures.md``: the conventions, then every figure's claims with their rules."""
    return "\n".join([_READING, *(line for figure in FIGURES.values() for line in _figure(figure))])


def _figure(figure: Figure) -> Iterable[str]:
    yield f"## {figure.id}: {figure.title}"
    yield ""
    yield f"Made by `python -m paper_figs --only {figure.id}`. Subject: {figure.section.lower()}."
    yield ""
    for claim in figure.claims:
        theorems = ", ".join(f"[{name}](theorems.md#{name})" for name in claim.theorems)
        whose = "Theorem" if claim.whose == Whose.THEOREM else f"Claim ({claim.source})"
        yield f"* **{whose}:** {html.escape(claim.text)} {f'({theorems})' if theorems else ''}  "
        yield f"  *Rule:* {html.escape(claim.rule)}"
    yield ""
