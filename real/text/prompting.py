"""From a user's text to token ids: chat template where there is one, nothing lost, room in the context."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real.models.load import LanguageModel
from real.text.texts import opening_tokens


def encode_prompt(lm: LanguageModel, text: str) -> list[int]:
    """Token ids of ``text`` as one user turn of the chat template, or as plain text to continue.

    Raises
    ------
    ValueError
        The chat template cannot render one user turn, or the text is not what the ids say.
    """
    return encode_turn(lm.tokenizer, lm.name, text)


def encode_turn(tokenizer: PreTrainedTokenizerBase, name: str, text: str) -> list[int]:
    """:func:`encode_prompt` with the tokenizer alone; ``name`` is for the sentence that refuses."""
    if tokenizer.chat_template is None:
        ids = _opened(tokenizer, text)
    else:
        ids = list(tokenizer(_rendered(tokenizer, name, text), add_special_tokens=False).input_ids)
    read = str(tokenizer.decode(ids))
    if not survives(text, read):
        raise ValueError(
            f"the tokenizer of {name} does not keep the prompt {_start(text)}: its ids read {_start(read)}"
        )
    return ids


def encode_text(lm: LanguageModel, text: str) -> list[int]:
    """Token ids of a text to continue: what opens every text, the text, and nothing that would end it."""
    return _opened(lm.tokenizer, text)


def _opened(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return opening_tokens(tokenizer) + list(tokenizer(text, add_special_tokens=False).input_ids)


def _rendered(tokenizer: PreTrainedTokenizerBase, name: str, text: str) -> str:
    """The chat template's text for one user turn; templates take a string or a list of parts."""
    reason = ""
    for content in (text, [{"type": "text", "text": text}]):
        turn: Any = [{"role": "user", "content": content}]
        try:
            whole = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # templates are programs of others: they raise what they like
            reason = reason or f"{error}"
            continue
        if survives(text, str(whole)) and not (content != text and str(content) in str(whole)):
            return str(whole)
        reason = reason or "the prompt is not in what it gives"
    raise ValueError(
        f"the chat template of {name} cannot render a single user turn: {' '.join(reason.split())[:200]}"
    )


def survives(text: str, whole: str) -> bool:
    """Whether ``text`` stands in ``whole``, apart from spaces, case and forms of one character."""

    def plain(some: str) -> str:
        return "".join(unicodedata.normalize("NFKC", some).casefold().split())

    return plain(text) in plain(whole)


def _start(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def encode_prompts(lm: LanguageModel, texts: Sequence[str], new_tokens: int) -> list[list[int]]:
    """Encode every prompt and make sure that ``new_tokens`` more fit into the model's context.

    Raises
    ------
    ValueError
        There is no prompt, one is empty, too long, lost on the way, or has ids without an embedding.
    """
    if not texts:
        raise ValueError("prompts are empty: give at least one non-blank prompt")
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be at least 1, got {new_tokens}")
    weight = lm.model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    encoded = [encode_prompt(lm, text) for text in texts]
    for index, ids in enumerate(encoded):
        if not ids:
            raise ValueError(f"prompt {index} is empty: {texts[index]!r}")
        if max(ids) >= len(weight):
            raise ValueError(
                f"prompt {index} has token id {max(ids)}; the embedding of {lm.name} has {len(weight)} rows"
            )
        if len(ids) + new_tokens > lm.context_length:
            raise ValueError(
                f"prompt {index} has {len(ids)} tokens; with {new_tokens} new ones it exceeds the "
                f"context of {lm.name} ({lm.context_length} tokens)"
            )
    return encoded
