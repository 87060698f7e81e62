"""Sampling settings: ours alone. What a checkpoint ships beside its weights must not change what is drawn.

``generation_config.json`` may hold penalties, suppressed or forced tokens, beams, temperatures; ``generate``
would fill every setting that we leave open from it. Texts would then be no draws from softmax(z/T), greedy
text not the argmax, and the statements J1, G10, G11 would not speak of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import GenerationConfig, PreTrainedModel

_KEPT = ("bos_token_id", "eos_token_id", "pad_token_id")  # where text begins, ends and is filled up


@contextmanager
def neutral_settings(model: PreTrainedModel, cached: bool = True) -> Iterator[None]:
    """Inside, ``model.generate`` knows no settings but the caller's and the ids of special tokens.

    Without ``cached`` it keeps nothing from step to step, whatever the caller says.
    """
    before: Any = model.generation_config
    own: Any = model.generate
    kept = {name: getattr(before, name, None) for name in _KEPT}
    model.generation_config = GenerationConfig(**kept)  # type: ignore[no-untyped-call]
    if not cached:
        vars(model)["generate"] = lambda *args, **named: own(*args, **named | {"use_cache": False})
    try:
        yield
    finally:
        vars(model).pop("generate", None)
        model.generation_config = before


def shipped_settings(model: PreTrainedModel) -> dict[str, Any]:
    """What the checkpoint asks ``generate`` to do differently: names and values, for the record."""
    settings: Any = getattr(model, "generation_config", None)
    if settings is None:
        return {}
    changed: dict[str, Any] = settings.to_diff_dict()
    return {key: value for key, value in changed.items() if key not in (*_KEPT, "transformers_version")}
