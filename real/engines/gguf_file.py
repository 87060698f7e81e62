"""The GGUF engine: a file's own kernels and number formats, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.utils.chat_template_utils import render_jinja_template

from real.engines.engine import Row, log_law, recorded
from real.engines.llama import LlamaModel
from real.models.fetch import file_sha256
from real.records.record import Decoding, RecordedText
from real.records.tokenizer import tokenizer_hash
from real.text.sample import gumbel_noise, row_generators

_TEMPLATE = "tokenizer.chat_template"
_LAW_ROWS = 64  # steps whose laws over the vocabulary are in memory at once


class GgufEngine:
    """A ``*.gguf`` file as an engine; see :class:`real.engines.Engine`. Uses torch's number of threads."""

    rounding = 0.0

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.model = LlamaModel(Path(path), torch.get_num_threads())
        self.name = name or str(path)
        self.weights: str | None = file_sha256(Path(path))
        self.description = self.model.description
        self.context_length = self.model.context_length
        self.vocabulary: int | None = self.model.vocabulary
        self.pieces = self.model.pieces()
        self.tokenizer_sha256: str | None = tokenizer_hash(self.pieces)

    def encode(self, text: str) -> list[int]:
        template = self.model.metadata(_TEMPLATE)
        if template is None:
            return self.model.tokenise(text, special=True, markers=False)
        turns = [[{"role": "user", "content": text}]]
        by_id = {index: piece for piece, index in self.pieces.items()}
        ends: dict[str, Any] = {
            f"{end}_token": by_id.get(self.model.special(end), "") for end in ("bos", "eos")
        }
        rendered: Any = render_jinja_template(
            conversations=turns, chat_template=template, add_generation_prompt=True, **ends
        )
        return self.model.tokenise(rendered[0][0], special=False, markers=True)

    def scored(self, decoding: Decoding) -> Decoding:
        return decoding

    def draw(
        self, rows: Sequence[Row], new_tokens: int, decoding: Decoding, seed: int, top: int
    ) -> Iterator[RecordedText]:
        for row in rows:
            generator = row_generators(seed, [row.number])
            ids: list[int] = []
            values: list[float] = []
            known: list[tuple[tuple[int, float], ...]] = []
            for _ in range(new_tokens):
                logits = self.model.read([*row.prompt_ids, *ids], 1)
                law = log_law(logits, decoding, [(*row.prompt_ids, *ids)])
                race = law + gumbel_noise(law, generator) if decoding.temperature else law
                ids.append(int(race.argmax()))
                values.append(min(0.0, float(law[0, ids[-1]])))
                if top:
                    best = law[0].topk(min(top, len(law[0])))
                    known.append(tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
                if self.model.stops(ids[-1]):
                    break
            yield RecordedText(
                row.prompt,
                row.prompt_ids,
                tuple(ids),
                tuple(values),
                self.model.stops(ids[-1]),
                None,
                tuple(known) or None,
            )

    def score(self, texts: Iterable[RecordedText], decoding: Decoding, top: int) -> Iterator[RecordedText]:
        for index, text in enumerate(texts):
            if not index:
                self.model.check([*text.prompt_ids, *text.ids])
            yield recorded(text, self.laws(text.prompt_ids, text.ids, decoding), top)

    def laws(self, prompt_ids: Sequence[int], ids: Sequence[int], decoding: Decoding) -> Tensor:
        """Log-probabilities ``(n, V)``, float32, of the next token at each of the n drawn ones."""
        logits = self.logits(prompt_ids, ids)
        for start in range(0, len(ids), _LAW_ROWS):
            steps = range(start, min(start + _LAW_ROWS, len(ids)))
            prefixes = (
                [(*prompt_ids, *ids[:step]) for step in steps] if decoding.repetition_penalty != 1 else ()
            )
            logits[start : steps.stop] = log_law(logits[start : steps.stop], decoding, prefixes)
        return logits

    def logits(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> Tensor:
        """Logits ``(n, V)``, float32, that predict each of the n drawn tokens."""
        return self.model.read([*prompt_ids, *ids][:-1], len(ids))
