"""What may be lost, as text: ``kl<=0.2``, ``tv(64)<=0.5``, ``score(my.jsonl)>=0.95``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from real.pruning.spec import Quantise, Sparsify, SpecError, parse_spec
from theory.names import lookup

What = Literal["kl", "tv", "score"]
PARTS = ("attn", "mlp", "block")
SAVINGS = ("parameters", "time", "bytes")
_FORM = re.compile(r"(?P<what>\w+)(?:\((?P<about>[^()]+)\))?\s*(?P<sign><=|>=)\s*(?P<limit>[0-9.]+)")


class BudgetError(ValueError):
    """A budget that cannot be read."""


@dataclass(frozen=True)
class Budget:
    """At most so much drift.

    what: ``kl`` per token in nats, ``tv`` of texts of ``tokens`` tokens, or ``score``, the share of the dense
    model's score on ``task`` that is lost. limit: of that number, the smaller the stricter.
    """

    what: What
    limit: float
    tokens: int | None = None
    task: str | None = None

    def __str__(self) -> str:
        if self.what == "score":
            return f"score({self.task})>={1 - self.limit:g}"
        return f"tv({self.tokens})<={self.limit:g}" if self.what == "tv" else f"kl<={self.limit:g}"

    @property
    def content(self) -> str:
        """What the measured number depends on beside the model: its kind, and a task file's questions."""
        file = Path(self.task or "")
        return self.label + (file.read_text("utf-8", "replace") if self.task and file.is_file() else "")

    @property
    def label(self) -> str:
        """What is measured, in words."""
        if self.what == "score":
            return f"share of the score on {self.task} that is lost"
        return f"total variation of {self.tokens} tokens" if self.what == "tv" else "KL per token, nats"


def parse_budget(text: str) -> Budget:
    """Read a budget.

    Raises
    ------
    BudgetError
        One sentence with the valid forms.

    Example
    -------
    >>> parse_budget("tv(64)<=0.5").tokens
    64
    """
    found = _FORM.fullmatch(text.strip())
    wrong = BudgetError(f"budget {text!r}: use 'kl<=0.2', 'tv(64)<=0.5' or 'score(my.jsonl)>=0.95'")
    if found is None:
        raise wrong
    name, about, sign = found["what"], found["about"], found["sign"]
    try:
        limit = float(found["limit"])
    except ValueError:
        raise wrong from None
    if name == "kl" and about is None and sign == "<=" and limit > 0:
        return Budget("kl", limit)
    if name == "tv" and about and about.isdigit() and int(about) and sign == "<=" and 0 < limit <= 1:
        return Budget("tv", limit, tokens=int(about))
    if name == "score" and about and sign == ">=" and 0 < limit <= 1:
        return Budget("score", 1 - limit, task=about)
    raise wrong


def check_saving(name: str) -> str:
    """``parameters``, ``time`` or ``bytes``.

    Raises
    ------
    UnknownNameError
        It is none of them.
    """
    return str(lookup("saving", name, {one: one for one in SAVINGS}))


def check_kinds(kinds: Sequence[str], saving: str, count: int | None = None) -> list[str]:
    """Kinds of candidates: ``attn``, ``mlp``, ``block``, and steps on weights (``int4``, ``wanda:50%``).

    Raises
    ------
    UnknownNameError, SpecError
        A kind that is none.
    BudgetError
        A step that saves nothing of what is to be saved, or ``count`` parts asked for among steps on weights.
    """
    for kind in kinds:
        if kind in PARTS:
            continue
        if kind.isalpha() and kind not in ("int4", "int8"):
            lookup("part", kind, {one: one for one in PARTS})
        (step, *more) = parse_spec(kind).steps or (None,)
        if more or not isinstance(step, Sparsify | Quantise) or step.layers is not None:
            raise SpecError(f"among {kind!r}: use attn, mlp, block, int8, int4, wanda:50% and the like")
        if saving == "time" or (saving == "parameters" and isinstance(step, Quantise)):
            raise BudgetError(f"{kind} saves no {saving} here: use --minimise bytes")
        if count is not None:
            raise BudgetError(f"--drop counts attn, mlp and block, not {kind}: give --keep instead")
    return list(kinds)
