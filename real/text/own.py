"""Text that the dense model writes itself, as calibration data: what its pruned copy will meet."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import count as naturals

import torch
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.models.load import LanguageModel
from real.text.prompting import encode_prompt
from real.text.sample import sample
from real.text.seeds import generator
from real.text.texts import openings
from theory.fingerprint import fingerprint

# Away from the seeds of everything that is reported: reports draw other noise, after other prompts.
_SEEDS = 1 << 40
_END = 1 << 62
_TEXTS = 16  # drawn at once


def own_tokens(lm: LanguageModel, count: int, length: int, seed: int = 0) -> Tensor:
    """Token ids ``(count, length)``: openings of shipped calibration passages, continued by the model.

    Each row begins with a prompt, as the model is given prompts, of half a row at most; where a text ends
    early the next one follows it.
    Drawn at temperature 1 and kept in the cache by content of the model, so the second call costs nothing.
    No forecast, task or other report uses these prompts or seeds.

    Raises
    ------
    ValueError
        ``count`` or ``length`` is below 1, ``length`` exceeds the model's context, or is too short for any
        prompt to leave half of it to the model.

    Example
    -------
    >>> import real  # doctest: +SKIP
    >>> real.prune(real.load(), "attn:8+linear", calibration="own")  # doctest: +SKIP
    """
    if count < 1 or not 1 <= length <= lm.context_length:
        raise ValueError(
            f"own text: {count} rows of {length} tokens; both must be positive and a row fit the context of "
            f"{lm.name} ({lm.context_length} tokens)"
        )
    libraries = [version(name) for name in ("torch", "transformers", "tokenizers")]
    facts = [lm.content, str(lm.model.dtype), count, length, seed, libraries, fingerprint(__name__)]
    path = cache_folder() / "own_texts" / f"{content_key(facts)}.json"
    rows = read_record(path)
    if rows is None:
        rows = _rows(_texts(lm, min(count, _TEXTS), length, seed), count, length)
        write_record(path, rows)
    return torch.tensor(rows)


def _texts(lm: LanguageModel, together: int, length: int, seed: int) -> Iterator[list[int]]:
    """Prompts with what the model writes after them, so many drawn at once, without end."""
    prompts = [ids for text in openings("calibration") if len(ids := encode_prompt(lm, text)) <= length // 2]
    if not prompts:
        raise ValueError(f"own text: no prompt of {lm.name} leaves half of {length} tokens to it")
    order = torch.randperm(len(prompts), generator=generator(seed)).tolist()
    for batch in naturals():
        chosen = [prompts[order[(batch * together + i) % len(order)]] for i in range(together)]
        lengths = [len(ids) for ids in chosen]
        room = min(length - min(lengths), lm.context_length - max(lengths))  # the shortest fills its row
        drawn = sample(lm, chosen, room, seed=(_SEEDS + seed * 1009 + batch) % _END)
        for row in range(len(drawn)):
            yield drawn.tokens[row, : drawn.lengths[row]].tolist()


def _rows(texts: Iterator[list[int]], count: int, length: int) -> list[list[int]]:
    rows: list[list[int]] = []
    row: list[int] = []
    for text in texts:
        row += text
        if len(row) >= length:
            rows.append(row[:length])
            row = []
        if len(rows) == count:
            break
    return rows
