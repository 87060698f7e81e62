"""Text that ships with the package: calibration tokens, passages in disjoint splits, twelve prompts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from torch import LongTensor
from transformers import PreTrainedTokenizerBase

from real.text.seeds import generator
from theory.names import lookup

# Passages of openwebtext.jsonl.gz by purpose. No passage serves two purposes.
SPLITS = {
    "calibration": range(0, 600),
    "perplexity": range(600, 750),
    "prompts": range(750, 850),
    "retrieval": range(850, 1000),
}


@dataclass(frozen=True)
class Prompt:
    """A request of ``kind`` "multiple choice", "word problem" or "open"; only the last has no ``answer``."""

    kind: str
    text: str
    answer: str | None = None


@cache
def _openwebtext() -> tuple[str, ...]:
    packed = files("real").joinpath("data/openwebtext.jsonl.gz").read_bytes()
    return tuple(json.loads(line)["text"] for line in gzip.decompress(packed).splitlines())


def passages(split: str) -> tuple[str, ...]:
    """Passages (about 150 tokens each) of one of the disjoint splits in ``SPLITS``."""
    chosen = lookup("split", split, SPLITS)
    return _openwebtext()[chosen.start : chosen.stop]


def openings(split: str, words: int = 24) -> list[str]:
    """The first ``words`` words of every passage of a split, to be continued."""
    return [" ".join(text.split()[:words]) for text in passages(split)]


@cache
def prompts() -> tuple[Prompt, ...]:
    """Our twelve prompts: four multiple choice, four word problems, four open."""
    packed = files("real").joinpath("data/prompts.json").read_text("utf-8")
    return tuple(Prompt(**entry) for entry in json.loads(packed))


def calibration_tokens(
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    length: int,
    seed: int = 0,
    texts: Sequence[str] | None = None,
) -> LongTensor:
    """Return ``(count, length)`` token ids cut without overlap from shuffled calibration text.

    The passages are shuffled by ``seed`` and joined by blank lines. Where the tokenizer opens every text
    with a beginning-of-sequence token, so does every row. ``texts`` replaces the passages that ship.

    Raises
    ------
    ValueError
        ``count`` or ``length`` is below 1, or the text has too few tokens for that many rows.
    """
    if count < 1 or length < 1:
        raise ValueError(f"count and length must be at least 1, got count={count}, length={length}")
    texts = passages("calibration") if texts is None else texts
    order = torch.randperm(len(texts), generator=generator(seed)).tolist()
    joined = "\n\n".join(texts[index] for index in order)
    opening = opening_tokens(tokenizer)
    body = length - len(opening)
    stream = torch.tensor(tokenizer(joined, add_special_tokens=False, verbose=False).input_ids)
    if body < 1 or len(stream) < count * body:
        raise ValueError(
            f"{count} calibration rows of {length} tokens need {count * max(body, 1)} tokens, the text has "
            f"{len(stream)}: ask for at most {len(stream) // max(body, 1)} rows or give longer texts"
        )
    rows = stream[: count * body].reshape(count, body)
    head = torch.tensor(opening, dtype=torch.long).expand(count, -1)
    return torch.cat([head, rows.long()], dim=1)  # type: ignore[return-value]


def opening_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Special tokens the tokenizer puts before every text (often ``[bos]`` or none)."""
    plain, whole = (list(tokenizer("a", add_special_tokens=special).input_ids) for special in (False, True))
    starts = range(len(whole) - len(plain) + 1)
    return next((whole[:start] for start in starts if whole[start : start + len(plain)] == plain), [])
