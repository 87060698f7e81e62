"""One sympy symbol per column of ``Drift``: the alphabet in which every theorem is written.

A symbol's *name* is the column's name, so an expression says by itself which columns it needs.  Its
*LaTeX* is the notation of the report.  Theorems about sequences, heads or noise use further symbols, made
by ``parameter``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Meaning:
    """What a symbol stands for: its LaTeX and one sentence."""

    latex: str
    text: str


MEANINGS: dict[str, Meaning] = {}


def _symbol(name: str, latex: str, text: str, *, positive: bool = True) -> sp.Symbol:
    MEANINGS[name] = Meaning(latex, text)
    return sp.Symbol(name, positive=True) if positive else sp.Symbol(name, real=True)


# Quantities: how far q is from p.  Symbols are positive: the case 0 is p = q, where every quantity vanishes.
kl = _symbol("kl", r"\mathrm{KL}(p\|q)", "Kullback-Leibler divergence, dense model first, in nats")
kl_reverse = _symbol("kl_reverse", r"\mathrm{KL}(q\|p)", "Kullback-Leibler divergence, perturbed model first")
js = _symbol("js", r"\mathrm{JS}(p,q)", "Jensen-Shannon divergence, in nats")
tv = _symbol("tv", r"\mathrm{TV}(p,q)", "total variation distance, half the l1 distance")
hellinger_sq = _symbol("hellinger_sq", r"H^2(p,q)", "squared Hellinger distance, 1 - sum of sqrt(p q)")
chi2 = _symbol("chi2", r"\chi^2(q\|p)", "chi-squared divergence, perturbed model first")
chi2_reverse = _symbol("chi2_reverse", r"\chi^2(p\|q)", "chi-squared divergence, dense model first")
cosdist_p = _symbol("cosdist_p", r"(1-\cos(p,q))", "cosine distance of the probabilities")
cosdist_z = _symbol("cosdist_z", r"(1-\cos(z,z'))", "cosine distance of the logits")
cosdist_z_centred = _symbol("cosdist_z_centred", r"(1-\mathrm{corr}(z,z'))", "one minus Pearson correlation")

# Statistics of delta = (z' - z)/T that the bounds are written in.
oscillation = _symbol("oscillation", "R", "max delta - min delta: Hilbert's projective distance of p and q")
rho_plus = _symbol("rho_plus", r"\rho_+", "max log(q/p)")
rho_minus = _symbol("rho_minus", r"\rho_-", "max log(p/q)")
var_p = _symbol("var_p", r"\mathrm{Var}_p", "variance of delta under the dense distribution p")
var_q = _symbol("var_q", r"\mathrm{Var}_q", "variance of delta under the perturbed distribution q")
var_r = _symbol("var_r", r"\mathrm{Var}_r", "variance of delta under r, proportional to p squared")
var_w = _symbol("var_w", r"\mathrm{Var}_w", "variance of delta under w, proportional to p q")
var_g = _symbol("var_g", r"\mathrm{Var}_g", "variance of delta under g, proportional to sqrt(p q)")
var_u = _symbol("var_u", r"\mathrm{Var}_u", "variance of delta under the uniform distribution")
low_p = _symbol("low_p", "a", "min delta - E_p delta, at most 0", positive=False)
high_p = _symbol("high_p", "b", "max delta - E_p delta")
low_r = _symbol("low_r", "a_r", "min delta - E_r delta, at most 0", positive=False)
high_r = _symbol("high_r", "b_r", "max delta - E_r delta")
p_max = _symbol("p_max", r"p_{\max}", "largest dense probability")
p_rest = _symbol("p_rest", r"(1 - p_{\max})", "dense probability of all but the most probable token")
entropy = _symbol("entropy", "H(p)", "entropy of p, in nats")
entropy_perturbed = _symbol("entropy_perturbed", "H(q)", "entropy of q, in nats")
margin = _symbol("margin", "m", "gap of the two largest dense logits divided by T")
gini_p = _symbol("gini_p", r"\|p\|^2", "sum of p squared")
gini_r = _symbol("gini_r", r"\|r\|^2", "sum of r squared")
orthogonal_sq = _symbol(
    "orthogonal_sq", r"b_\perp^2", "squared norm of the change orthogonal to z, over |z|^2"
)
parallel = _symbol("parallel", r"a_\parallel", "projection of the change on z, over |z|^2", positive=False)
norm_sq = _symbol("norm_sq", r"\|z\|^2", "squared norm of the dense vector")
option_mass = _symbol("option_mass", "p(S)", "dense probability of the option set")
option_mass_perturbed = _symbol("option_mass_perturbed", "q(S)", "perturbed probability of the option set")
temperature = _symbol("temperature", "T", "sampling temperature")
vocabulary = _symbol("vocabulary", "V", "number of entries")

_SIGNS = {"==": "=", "<=": "<=", "<": "<", ">=": ">=", ">": ">", "!=": "!="}

_DIVERGENCES = (kl, kl_reverse, js, tv, hellinger_sq, chi2, chi2_reverse)
QUANTITIES = frozenset(str(s) for s in (*_DIVERGENCES, cosdist_p, cosdist_z, cosdist_z_centred))
"""Names of the symbols that say how far q is from p; the other columns are statistics."""

COLUMNS = frozenset(MEANINGS)
"""Names of the symbols that are columns of ``Drift``; all other symbols are parameters."""


def parameter(name: str, latex: str, text: str, *, positive: bool = True) -> sp.Symbol:
    """A symbol that is no column of ``Drift`` (a number of tokens, a noise scale); same name, same
    meaning.
    """
    if name in COLUMNS:
        raise ValueError(f"name must not be a column of Drift, got {name!r}")
    meaning = Meaning(latex, text)
    if MEANINGS.setdefault(name, meaning) != meaning:
        raise ValueError(f"name {name!r} already stands for: {MEANINGS[name].text}")
    return _symbol(name, latex, text, positive=positive)


def readable(expression: object) -> str:
    """An expression as one line of text, in the report's letters instead of the columns' names."""
    if isinstance(expression, sp.core.relational.Relational):
        return f"{readable(expression.lhs)} {_SIGNS[expression.rel_op]} {readable(expression.rhs)}"
    symbols = sp.sympify(expression).free_symbols
    letters = {symbol: sp.Symbol(_plain(MEANINGS[symbol.name].latex)) for symbol in symbols & _known(symbols)}
    return str(sp.sympify(expression).xreplace(letters))


def _known(symbols: set[sp.Symbol]) -> set[sp.Symbol]:
    return {symbol for symbol in symbols if symbol.name in MEANINGS}


def _plain(latex: str) -> str:
    return re.sub(r"\\mathrm|[{}]|\\(?=[A-Za-z])", "", latex).replace(r"\|", "||")


def latex_names(symbols: Iterable[sp.Symbol]) -> dict[sp.Symbol, str]:
    """The ``symbol_names`` argument of ``sympy.latex``."""
    return {symbol: MEANINGS[symbol.name].latex for symbol in symbols if symbol.name in MEANINGS}
