"""Multiple choice as a decision over a few entries of one next-token distribution.

Only the argmax over the options counts, and it is certain not to move where the margin between the two best
options exceeds the oscillation of the perturbation on the options (theorem H2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from more_itertools import chunked
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from real.models.load import LanguageModel
from real.tasks import Task, task
from real.text.passes import final_hidden, head_logits
from real.text.texts import opening_tokens
from theory.terminal.console import say

PROBED = ("agreement", "units", "wikidata-choice", "capitals-choice")


@dataclass(frozen=True)
class OptionItem:
    """A context and the first token of each option; ``answer`` indexes ``options``."""

    task: str
    context: tuple[int, ...]
    options: tuple[int, ...]
    answer: int


def option_items(
    lm: LanguageModel, names: Sequence[str] = PROBED, *, probes: bool = False
) -> list[OptionItem]:
    """Items of choice tasks whose options differ in the first token where they differ at all.

    Tokens that all options share are moved into the context; items whose options then still share a first
    token are left out, and so, saying so, are those longer than the model's context. ``probes`` takes the
    items reserved for forecasts instead of those for evaluation.

    Raises
    ------
    ValueError
        No item is left.
    """
    chosen = (task(name) for name in names)
    entries = [(one, entry) for one in chosen for entry in (one.probes if probes else one.items)]
    items = [item for one, entry in entries if (item := _option_item(lm, one, entry)) is not None]
    fitting = [item for item in items if len(item.context) <= lm.context_length]
    if len(fitting) < len(items):
        left_out = f"{len(items) - len(fitting)} of {len(items)} multiple-choice items are longer than"
        say(f"{left_out} the context of {lm.name} ({lm.context_length} tokens) and left out")
    if not fitting:
        raise ValueError(
            f"no multiple-choice item of {', '.join(names)} fits {lm.name}: its context has "
            f"{lm.context_length} tokens, and options must differ in a token"
        )
    return fitting


def _option_item(lm: LanguageModel, one: Task, entry: dict) -> OptionItem | None:  # type: ignore[type-arg]
    context = one.preamble + entry["question"]
    whole = [
        opening_tokens(lm.tokenizer)
        + lm.tokenizer(context + one.delimiter + option, add_special_tokens=False).input_ids
        for option in entry["options"]
    ]
    shared = 0
    while all(len(ids) > shared for ids in whole) and len({ids[shared] for ids in whole}) == 1:
        shared += 1
    if shared == 0 or any(len(ids) <= shared for ids in whole):
        return None
    firsts = tuple(ids[shared] for ids in whole)
    if len(set(firsts)) < len(firsts):
        return None
    return OptionItem(one.name, tuple(whole[0][:shared]), firsts, entry["answer"])


def decision_hidden(lm: LanguageModel, items: Sequence[OptionItem], batch_size: int = 32) -> Tensor:
    """Head inputs ``(items, d)`` at the last token of every context."""
    rows = []
    for batch in chunked(items, batch_size):
        contexts = [torch.tensor(item.context) for item in batch]
        hidden = final_hidden(lm, pad_sequence(contexts, batch_first=True), batch_size)
        ends = torch.tensor([len(context) - 1 for context in contexts])
        rows.append(hidden[torch.arange(len(contexts)), ends])
    return torch.cat(rows)


def decisions(lm: LanguageModel, items: Sequence[OptionItem]) -> Tensor:
    """Index of the preferred option of every item, int64 ``(items,)``."""
    hidden = decision_hidden(lm, items)
    best = []
    for start in range(0, len(items), 64):
        logits = head_logits(lm, hidden[start : start + 64])
        for row, item in zip(logits, items[start : start + 64], strict=True):
            best.append(int(row[list(item.options)].argmax()))
    return torch.tensor(best)
