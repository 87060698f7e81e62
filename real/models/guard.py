"""One guard between a checkpoint and a number: what is handed out has been asked once, and says so."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from real.cache import cache_folder, content_key, read_record, write_record
from real.models.checkpoint import ModelUnavailableError, one_sentence
from real.models.checks import Checks, check, first_unsound
from real.models.content import content
from real.models.settings import shipped_settings
from theory.fingerprint import fingerprint


def guarded(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str
) -> tuple[Checks, dict[str, Any]]:
    """What a model may be trusted with, and the facts for its provenance.

    ``content`` hashes weights, configuration and tokenizer. ``checked`` is what was found by one short pass,
    now or earlier over the same content. ``settings left out`` are sampling settings of the checkpoint: they
    change none of our texts.

    Raises
    ------
    ModelUnavailableError
        The model cannot run, gives no numbers, or reads tokens before they are there.
    """
    identity = content(model, tokenizer)
    with one_sentence(name):
        found = _remembered(model, identity)
    if not found.sound:
        raise ModelUnavailableError(
            f"{name!r}: the numbers are not finite from {first_unsound(model)} on in {str(model.dtype)[6:]}; "
            "where float16 overflows, bfloat16 or float32 does not"
        )
    if not found.causal:
        raise ModelUnavailableError(
            f"{name!r} is not causal: tokens that come later change the logits of {type(model).__name__} "
            "before them, so it cannot write text"
        )
    facts = {
        "content": identity,
        "checked": asdict(found),
        "settings left out": shipped_settings(model),
    }
    return found, facts


def _remembered(model: PreTrainedModel, identity: dict[str, str]) -> Checks:
    """What :func:`check` finds, or found for the same content, code and libraries on a like device."""
    made_by = [fingerprint("real.models.checks"), version("torch"), version("transformers")]
    known = cache_folder() / "checks" / f"{content_key([identity, made_by, model.device.type])}.json"
    record = read_record(known)
    if record is None:
        record = asdict(check(model))
        write_record(known, record)
    return Checks(**record)
