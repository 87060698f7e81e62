"""From a user's text to token ids: chat template where there is one, room in the context checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from real.models.load import LanguageModel


def encode_prompt(lm: LanguageModel, text: str) -> list[int]:
    """Token ids of ``text`` as one user turn of the chat template, or as plain text to continue."""
    if lm.tokenizer.chat_template is None:
        return list(lm.tokenizer(text).input_ids)
    turn = [{"role": "user", "content": text}]
    ids: Any = lm.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
    return list(ids)


def encode_prompts(lm: LanguageModel, texts: Sequence[str], new_tokens: int) -> list[list[int]]:
    """Encode every prompt and make sure that ``new_tokens`` more fit into the model's context.

    Raises
    ------
    ValueError
        There is no prompt, one is empty, or one is too long.
    """
    if not texts:
        raise ValueError("prompts are empty: give at least one non-blank prompt")
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be at least 1, got {new_tokens}")
    encoded = [encode_prompt(lm, text) for text in texts]
    for index, ids in enumerate(encoded):
        if not ids:
            raise ValueError(f"prompt {index} is empty: {texts[index]!r}")
        if len(ids) + new_tokens > lm.context_length:
            raise ValueError(
                f"prompt {index} has {len(ids)} tokens; with {new_tokens} new ones it exceeds the "
                f"context of {lm.name} ({lm.context_length} tokens)"
            )
    return encoded


def read_prompts(path: Path) -> list[str]:
    """Prompts of a text file: one per line, or separated by lines of ``---`` when there are such lines.

    Raises
    ------
    ValueError
        The file holds no prompt.
    """
    text = path.read_text("utf-8")
    lines = text.splitlines()
    blocks = [""]
    if "---" in lines:
        for line in lines:
            if line == "---":
                blocks.append("")
            else:
                blocks[-1] += line + "\n"
    else:
        blocks = lines
    prompts = [block.strip() for block in blocks if block.strip()]
    if not prompts:
        raise ValueError(f"prompt file {str(path)!r} is empty: write one prompt per line")
    return prompts
