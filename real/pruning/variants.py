"""What a dense model is compared with: itself pruned by a spec, or another checkpoint of its vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from real.models.load import LanguageModel, load
from real.pruning.apply import pruned
from real.pruning.calibration import Calibration, calibration_seeds
from real.pruning.choose import Memory
from real.pruning.spec import Spec, names_checkpoint
from real.text.texts import passages
from theory.terminal.console import say

T = TypeVar("T")


class MismatchError(ValueError):
    """Two models whose outputs cannot be compared token by token."""


@contextmanager
def variant(
    lm: LanguageModel,
    name: str | Spec,
    calibration: Calibration = None,
    memory: Memory | None = None,
    seed: int = 0,
) -> Iterator[LanguageModel]:
    """Yield the model that ``name`` stands for: ``lm`` pruned in place until the block ends, or a loaded one.

    ``calibration``, ``memory`` and ``seed`` as in :func:`real.pruned`.

    Raises
    ------
    MismatchError
        The loaded model has another vocabulary or tokenizer.
    """
    if isinstance(name, str) and names_checkpoint(name):
        other = load(name, lm.provenance.get("device", str(lm.device)), str(lm.model.dtype)[6:])
        check_comparable(lm, other)
        yield other
    else:
        with pruned(lm, name, calibration, seed, memory):
            yield lm


def recalibrated(
    lm: LanguageModel,
    name: str | Spec,
    measure: Callable[[LanguageModel], T],
    calibration: Calibration = None,
    memory: Memory | None = None,
) -> list[T]:
    """What ``measure`` finds in the variant made with each further calibration text.

    Empty unless the variant is chaotic, see :func:`real.pruning.calibration.calibration_seeds`.
    """
    found = []
    for seed in calibration_seeds(name, calibration)[1:]:
        with variant(lm, name, calibration, memory, seed) as other:
            found.append(measure(other))
    return found


def check_comparable(dense: LanguageModel, other: LanguageModel) -> None:
    """Raise :class:`MismatchError` unless both models read and write the same token ids."""
    sizes = [lm.model.config.get_text_config().vocab_size for lm in (dense, other)]
    if sizes[0] != sizes[1]:
        raise MismatchError(
            f"{dense.name} and {other.name} have different vocabularies ({sizes[0]} and {sizes[1]} tokens): "
            "only models with the same vocabulary can be compared"
        )
    if dense.content["tokenizer"] == other.content["tokenizer"]:
        return
    spelt = [{index: token for token, index in lm.tokenizer.get_vocab().items()} for lm in (dense, other)]
    ids = [list(lm.tokenizer(passages("prompts")[0]).input_ids) for lm in (dense, other)]
    common = spelt[0].keys() & spelt[1].keys()
    if ids[0] != ids[1] or any(spelt[0][index] != spelt[1][index] for index in common):
        raise MismatchError(
            f"{dense.name} and {other.name} have different tokenizers: the same token ids mean different text"
        )
    if extra := sorted(spelt[0].keys() ^ spelt[1].keys()):
        tokens = ", ".join((spelt[0] | spelt[1])[index] for index in extra[:3])
        say(f"one of the tokenizers of {dense.name} and {other.name} has more tokens: {tokens} …")
