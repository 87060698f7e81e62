"""Write a small Python function; right is what passes its check.

A model with a chat template is asked in words and answers with a fenced block; any other completes the
signature and docstring.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase

from real.tasks.sandbox import passes

MAX_TOKENS = 96
_CHAT_STOPS = ("\n```",)
_COMPLETION_STOPS = ("\ndef ", "\nclass ", "\nif ", "\nprint", "\n#", "\nassert", "\n```")
_FENCE = "```python\n"


def request(tokenizer: PreTrainedTokenizerBase, item: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What the model reads, as text without the tokenizer's own opening, and the stops of its answer."""
    if tokenizer.chat_template is None:
        return _header(item), _COMPLETION_STOPS
    words = f"Write a Python function `{item['signature']}`. {item['instruction']} Answer with the code only."
    turn = [{"role": "user", "content": words}]
    text = str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))
    return text.removeprefix(str(tokenizer.bos_token or "")), _CHAT_STOPS


def solved(item: dict[str, Any], answer: str) -> bool:
    """Whether the function in ``answer`` passes its check; executes it, in the sandbox only."""
    _, fenced, code = answer.partition(_FENCE)
    program = code if fenced else answer if answer.lstrip().startswith("def ") else _header(item) + answer
    return passes(program, item["answer"])


def _header(item: dict[str, Any]) -> str:
    return f'def {item["signature"]}:\n    """{item["instruction"]}"""\n'
