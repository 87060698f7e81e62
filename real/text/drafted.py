"""Write what a model would write, with another model's text as a draft: the same tokens, in far fewer passes.

The next token is a function of the text before it: the argmax of z/T + G, with the row's own Gumbel noise G
(none at temperature 0). So one pass over prompt and draft shows how far the model repeats the draft, and
gives the first token that differs; from there on the model writes alone, with the cache of that pass. Where
its text meets the draft again, the rest of the draft is proposed again and read in one pass (prompt look-up).
A bad draft costs time, never a different text: greedy text is the model's greedy text, and drawn text is what
``sample`` draws with the same seed, so both models run the same race (shared noise, theorem G11).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from more_itertools import chunked
from torch import Tensor

from real.models.load import LanguageModel
from real.structure.probe import no_cache
from real.text.passes import head_logits, read
from real.text.sample import Samples, gumbel_noise, pack, row_generators, stop_tokens

_BATCH = 32
_HEAD_ROWS = 64  # positions of one head product
_MEETING = 3  # tokens that text and draft must share to be taken for the same text again
_WORTH = 0.5  # propose the draft again if what is left of it is that share of what must be read again

_CROWD = 16  # rows from which on a few read their drafts before all others do
_SCOUTS = 4
_TRUST = 0.25  # share of the scouts' drafts that must be right for others to read theirs

Ended = Callable[[Sequence[int]], bool]


@dataclass
class _Row:
    prompt: list[int]
    draft: list[int]
    generator: torch.Generator | None
    text: list[int] = field(default_factory=list)
    proposal: list[int] = field(default_factory=list)
    misled: bool = False  # a draft that it met again was no help
    done: bool = False

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.text)

    def known(self) -> list[int]:
        return self.prompt + self.text + self.proposal


@dataclass(frozen=True)
class _Writer:
    """One model and when its texts end; ``memory`` is the cache after the first ``shared`` tokens of all."""

    lm: LanguageModel
    new_tokens: int
    temperature: float
    ended: Ended
    shared: int
    memory: Any
    cached: bool
    stops: list[int]

    def take(self, row: _Row, logits: Tensor) -> None:
        """Append tokens as long as they are those proposed, and the first that is not.

        logits: ``(len(proposal) + 1, V)`` after the last token and after every proposed one.
        """
        proposal, row.proposal = row.proposal, []
        known = len(row.text)
        for step, proposed in zip(logits, [*proposal, None], strict=True):
            self.append(row, step)
            if row.done or row.text[-1] != proposed:
                break
        row.misled = known > 0 and 2 * (len(row.text) - known) < len(proposal)

    def append(self, row: _Row, logits: Tensor) -> None:
        """The model's next token, and whether the text ends with it."""
        if row.generator is not None:
            logits = logits.float() / self.temperature
            logits = logits + gumbel_noise(logits.unsqueeze(0), [row.generator])[0]
        row.text.append(int(logits.argmax()))
        stopped = row.text[-1] in self.stops or self.ended(row.text)
        row.done = stopped or len(row.text) >= self.new_tokens

    def meets(self, row: _Row) -> bool:
        """Propose the rest of the draft if the last tokens are in it and enough follows them.

        Once: where the text parted from the draft again, it is another text.
        """
        if row.misled:
            return False
        last, written = row.text[-_MEETING:], len(row.text)
        places = range(_MEETING, len(row.draft))
        ends = [end for end in places if row.draft[end - _MEETING : end] == last]
        end = min(ends, key=lambda end: abs(end - written), default=len(row.draft))
        rest = row.draft[end : end + self.new_tokens - written - 1]
        worth = len(rest) >= max(_MEETING, _WORTH * (row.length - self.shared))
        row.proposal = rest if worth else []
        return worth

    def logits(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Logits of head inputs ``(n_i, d)``, with few products: the head is large and read every time."""
        whole = torch.cat(list(states))
        parts = [head_logits(self.lm, part) for part in torch.split(whole, _HEAD_ROWS)]
        return list(torch.split(torch.cat(parts), [len(part) for part in states]))

    def forward(self, ids: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Head inputs of tokens that follow those in ``cache``, which is written into."""
        backbone = self.lm.anatomy.need_head().backbone
        keep = {"past_key_values": cache, "use_cache": True} if self.cached else no_cache(backbone)
        with torch.inference_mode():
            output = backbone(input_ids=ids.to(self.lm.device), **keep)
        return output.last_hidden_state, getattr(output, "past_key_values", None)

    def remembered(self, rows: int) -> Any:
        cache = copy.deepcopy(self.memory)  # a pass writes into its cache
        if cache is not None:
            cache.batch_repeat_interleave(rows)
        return cache


def write_from_drafts(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    drafts: Sequence[Sequence[int]],
    new_tokens: int,
    *,
    temperature: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
    ended: Ended = lambda text: False,
    batch_size: int = _BATCH,
) -> list[list[int]]:
    """Continuations of up to ``new_tokens`` tokens, one for each prompt (token ids), as ``lm`` writes them.

    drafts: proposed continuations, of any length; no draft is the empty list. generators: the random numbers
    of each row, for temperatures above 0. ended: whether a text ends here (strings that stop it, for
    instance); the end-of-sequence token ends it anyway.

    Raises
    ------
    ValueError
        Prompts, drafts and generators differ in number, a prompt is empty, or ``new_tokens`` is below 1.
    """
    racing = generators if temperature > 0 and generators is not None else [None] * len(prompts)
    if not len(prompts) == len(drafts) == len(racing) or (temperature > 0 and generators is None):
        raise ValueError(f"drafts (and generators) must be as many as the {len(prompts)} prompts")
    if new_tokens < 1 or not all(prompts):
        raise ValueError(f"new_tokens must be at least 1 and no prompt empty, got {new_tokens}")
    rows = [
        _Row(list(prompt), list(draft)[:new_tokens], generator, proposal=list(draft)[: new_tokens - 1])
        for prompt, draft, generator in zip(prompts, drafts, racing, strict=True)
    ]
    writer = _writer(lm, rows, new_tokens, temperature, ended)
    waiting = _scouted(writer, rows)
    while waiting:
        order = sorted(waiting, key=lambda row: len(row.known()))
        waiting = [row for batch in chunked(order, batch_size) for row in _advance(writer, batch)]
    return [row.text for row in rows]


def sample_from_drafts(
    lm: LanguageModel, drafts: Samples, new_tokens: int, batch_size: int = _BATCH
) -> Samples:
    """What ``sample(lm, ...)`` draws for the prompts, temperature and seed of another model's samples."""
    rows = range(len(drafts))
    prompts = [drafts.tokens[row, : drafts.prompt_lengths[row]].tolist() for row in rows]
    texts = write_from_drafts(
        lm,
        prompts,
        [drafts.continuation(row).tolist() for row in rows],
        new_tokens,
        temperature=drafts.temperature,
        generators=row_generators(drafts.seed, rows),
        batch_size=batch_size,
    )
    return pack(
        lm, list(zip(drafts.prompt.tolist(), prompts, strict=True)), texts, drafts.temperature, drafts.seed
    )


def _writer(
    lm: LanguageModel, rows: Sequence[_Row], new_tokens: int, temperature: float, ended: Ended
) -> _Writer:
    prompts = [row.prompt for row in rows]
    most = min(map(len, prompts), default=1) - 1
    shared = next((n for n in range(most) if len({prompt[n] for prompt in prompts}) > 1), most)
    memory = read(lm, torch.tensor([prompts[0][:shared]])) if shared else None
    shared = 0 if memory is None else shared
    return _Writer(lm, new_tokens, temperature, ended, shared, memory, lm.checks.shared, stop_tokens(lm))


def _scouted(writer: _Writer, rows: list[_Row]) -> list[_Row]:
    """Let a few rows read their drafts; where these are wrong, no other row reads one. The unfinished rows.

    A draft costs its tokens once more wherever it is wrong, so the worst one costs what the scouts read.
    """
    proposing = [row for row in rows if row.proposal]
    if len(proposing) < _CROWD:
        return rows
    scouts = proposing[:: len(proposing) // _SCOUTS][:_SCOUTS]
    offered = sum(len(row.proposal) for row in scouts)
    _verify(writer, scouts)
    if sum(len(row.text) - 1 for row in scouts) < _TRUST * offered:
        for row in rows:
            row.proposal = []
    return [row for row in rows if not row.done]


def _verify(writer: _Writer, rows: list[_Row]) -> tuple[Any, int]:
    """Read what is known and proposed of every row, and take what is right; the cache and its length."""
    width = max(len(row.known()) for row in rows)
    hidden, cache = writer.forward(_padded(rows, writer.shared, width), writer.remembered(len(rows)))
    firsts = [row.length - 1 - writer.shared for row in rows]
    states = [
        part[first : first + len(row.proposal) + 1]
        for row, first, part in zip(rows, firsts, hidden, strict=True)
    ]
    for row, logits in zip(rows, writer.logits(states), strict=True):
        writer.take(row, logits)
    return cache, width


def _advance(writer: _Writer, rows: list[_Row]) -> list[_Row]:
    """Read what is known of every row, then let the model write; the rows whose turn comes once more.

    These are rows that met their drafts again and, without a cache, all that are not finished.
    """
    cache, width = _verify(writer, rows)
    left = [index for index, row in enumerate(rows) if not row.done]
    rows = [rows[index] for index in left]
    if not rows or not writer.cached:
        return rows
    start = min(row.length for row in rows) - 1
    if _can_forget(cache, width):
        cache.batch_select_indices(torch.tensor(left, device=writer.lm.device))
        cache.crop(start - width)
    else:
        cache = writer.remembered(len(rows))
        if start > writer.shared:
            _, cache = writer.forward(_padded(rows, writer.shared, start), cache)
    return _write(writer, rows, cache, start)


def _can_forget(cache: Any, length: int) -> bool:
    """Whether the last of ``length`` tokens can be taken out of a cache again as if never read."""
    windows = [getattr(layer, "sliding_window", None) for layer in cache.layers]
    return bool(cache.is_croppable) and all(window is None or length < window for window in windows)


def _write(writer: _Writer, rows: list[_Row], cache: Any, place: int) -> list[_Row]:
    """Token by token: the rows with the shortest text choose their next, longer ones are read on."""
    met = []
    while rows:
        end = min(row.length for row in rows)
        hidden, cache = writer.forward(_padded(rows, place, end), cache)
        place = end
        ready = [index for index, row in enumerate(rows) if row.length == place]
        for index, logits in zip(ready, writer.logits([hidden[index, -1:] for index in ready]), strict=True):
            writer.append(rows[index], logits[0])
        met += [row for index in ready if not (row := rows[index]).done and writer.meets(row)]
        left = [index for index, row in enumerate(rows) if not row.done and not row.proposal]
        if len(left) < len(rows):
            rows = [rows[index] for index in left]
            cache.batch_select_indices(torch.tensor(left, dtype=torch.long, device=writer.lm.device))
    return met


def _padded(rows: Sequence[_Row], start: int, end: int) -> Tensor:
    """Known tokens at places ``start`` to ``end``, ``(rows, end - start)``; zeros where none is known."""
    known = [row.known()[start:end] for row in rows]
    return torch.tensor([ids + [0] * (end - start - len(ids)) for ids in known])
