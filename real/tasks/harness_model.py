"""A language model as lm-evaluation-harness asks it, with what this package knows of it."""

from __future__ import annotations

import copy
from typing import Any

from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real.models.load import LanguageModel
from real.tasks.drafted import DraftedLM, Drafts
from real.text.texts import opening_tokens

_NEVER = "\uffff"  # no character of any text


def harness_model(
    lm: LanguageModel, batch_size: int, drafts: Drafts | None = None, kind: type[Harness] | None = None
) -> Any:
    """The harness' wrapper of ``lm``, or a ``kind`` of it that asks another model the questions of ``lm``.

    Rows share a batch only where padding changes nothing. A text without context follows the token that
    opens texts, or that ends them, or a line end. ``drafts`` save time where they are right.
    """
    tokenizer = _tokenizer(lm)
    model: Any = (kind or Harness)(
        lm,
        drafts or {},
        tokenizer=tokenizer,
        batch_size=batch_size if lm.checks.padded else 1,
        add_bos_token=bool(opening_tokens(lm.tokenizer)),
        prefix_token_id=_first_token(tokenizer),
    )
    return model


class Harness(DraftedLM):
    """The harness stops at the text of the end-of-sequence token, also where a tokenizer has none."""

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> Any:
        if tokens is None:
            return _NEVER
        return super().tok_decode(tokens, skip_special_tokens=skip_special_tokens)


def _tokenizer(lm: LanguageModel) -> PreTrainedTokenizerBase:
    """A copy (the harness sets padding on it) that pads with an id of the embedding and never ends a text."""
    tokenizer = copy.deepcopy(lm.tokenizer)
    weight = lm.model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    pad = tokenizer.pad_token_id
    if pad is None or pad >= len(weight):
        known = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id, 0)
        usable = next(index for index in known if index is not None and index < len(weight))
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(usable)
    opening = opening_tokens(tokenizer)
    plain, whole = (tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
    if len(whole) > len(opening) + len(plain):
        _never_end(tokenizer, opening)
    return tokenizer


def _never_end(tokenizer: Any, opening: list[int]) -> None:
    """Take off the tokens that a tokenizer puts after every text: a continued text has not ended."""
    names = tokenizer.convert_ids_to_tokens(opening)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        tokenizer.add_eos_token = False
        return
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*names, "$A"], special_tokens=list(zip(names, opening, strict=True))
    )


def _first_token(tokenizer: PreTrainedTokenizerBase) -> int:
    known: list[Any] = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    known += tokenizer("\n", add_special_tokens=False).input_ids
    return int(next(index for index in known if index is not None))
