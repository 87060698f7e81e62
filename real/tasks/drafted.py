"""The harness' ways of asking a model: equal answers for less work.

What it writes is verified against another model's texts; what contexts share is read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from more_itertools import chunked
from torch import Tensor

from real.models.load import LanguageModel
from real.text.drafted import write_from_drafts
from real.text.likelihood import read_tokens
from real.text.sample import pack

_ANSWERS = 64  # written before they are kept
_ENDINGS = (
    256  # read together before they are kept; no matter of the batch size, so that bits are none either
)
Drafts = dict[str, str]
"""What a model wrote after a context."""


class DraftedLM(HFLM):  # type: ignore[misc]
    """A model under the harness; greedy text is verified against ``drafts`` and written where it departs.

    Whatever the drafts say, texts are those that the harness itself lets the model write. Drawn texts (tasks
    that ask for a temperature) and models whose cache cannot be shared are left to it.
    """

    def __init__(self, lm: LanguageModel, drafts: Mapping[str, str], **settings: Any) -> None:
        super().__init__(pretrained=lm.model, device=str(lm.device), **settings)
        self._lm = lm
        self._drafts = {tuple(self._ids(context)): (context, text) for context, text in drafts.items()}

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Log-probability of every ending, and whether greedy decoding writes it."""
        longest = max((len(context) + len(ending) for _, context, ending in requests), default=0)
        if not requests or not self._lm.checks.shared or longest > self.max_length + 1:
            alone: list[tuple[float, bool]] = super()._loglikelihood_tokens(
                requests, disable_tqdm, override_bs
            )
            return alone
        return [answer for few in chunked(requests, _ENDINGS) for answer in self._endings(few)]

    def _endings(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """The same of a few requests, which are kept when all of them are read."""
        order = sorted(range(len(requests)), key=lambda place: requests[place][1])  # equal contexts together
        contexts = dict.fromkeys(tuple(context) for _, context, _ in requests)
        places = {context: place for place, context in enumerate(contexts)}
        rows = [(places[tuple(requests[place][1])], list(requests[place][1])) for place in order]
        texts = pack(self._lm, rows, [list(requests[place][2]) for place in order], 1.0, seed=0)
        log_prob, greedy = read_tokens(self._lm, texts)
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for row, place in enumerate(order):
            answers[place] = float(log_prob[row].sum()), bool(greedy[row].all())
            if (asked := requests[place][0]) is not None:
                self.cache_hook.add_partial("loglikelihood", asked, answers[place])
        return answers

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers to the harness' requests, in batches that share what their contexts share."""
        before = int(self.batch_size_per_gpu)  # type: ignore[has-type]
        if self._lm.checks.shared:
            self.batch_size_per_gpu = max(before, _ANSWERS)
        try:
            answers: list[str] = super().generate_until(requests, disable_tqdm)
        finally:
            self.batch_size_per_gpu = before
        return answers

    def _model_generate(self, context: Tensor, max_length: int, stop: list[str], **settings: Any) -> Tensor:
        greedy = not settings.get("do_sample") and not settings.get("temperature")
        others = settings.keys() - {"do_sample", "temperature", "attention_mask"}
        if not greedy or others or not self._lm.checks.shared:
            alone: Tensor = super()._model_generate(context, max_length, stop, **settings)
            return alone
        prompts = [
            row[mask.bool()].tolist() for row, mask in zip(context, settings["attention_mask"], strict=True)
        ]
        texts = write_from_drafts(
            self._lm,
            prompts,
            [self._draft(prompt, stop) for prompt in prompts],
            max_length - context.shape[1],
            ended=lambda ids: any(part in self.tok_decode(list(ids)) for part in stop if part),
        )
        whole = torch.full((len(texts), max(map(len, texts))), self.tokenizer.pad_token_id)
        for row, text in zip(whole, texts, strict=True):
            row[: len(text)] = torch.tensor(text)
        return torch.cat([context, whole.to(context.device)], dim=1)

    def _draft(self, prompt: Sequence[int], stop: Sequence[str]) -> list[int]:
        """The draft's tokens as they follow the prompt, with the likeliest end."""
        if tuple(prompt) not in self._drafts:
            return []
        context, text = self._drafts[tuple(prompt)]
        whole = self._ids(context + text + next(iter(stop), ""))
        if whole[: len(prompt)] == list(prompt):
            return whole[len(prompt) :]
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _ids(self, text: str) -> list[int]:
        ids, _ = self.tok_batch_encode([text])
        return list(ids[0].tolist())
