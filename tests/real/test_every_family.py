"""Every causal class of transformers: found and right, or refused in one sentence; never wrong, no traceback.

A dozen classes, one of each kind that was once wrong, run with the suite; all of them by `make families`,
which also writes the table of what was found (environment variable FAMILIES_TABLE: a CSV file).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest
import torch
from torch import nn

from real.models.load import LanguageModel
from real.models.save import SaveError, save, written
from real.pruning.apply import prune, pruned
from real.pruning.spec import SpecError
from real.structure.anatomy import KINDS, AnatomyError
from real.structure.drop import DropError
from real.structure.probe import hooks
from tests.real.every_family import EVERY, NOT_BUILT, PARTS, by_hand, tiny, zeroed

TOKENS = torch.randint(1, 250, (2, 11), generator=torch.Generator().manual_seed(3))
CALIBRATION = torch.randint(1, 250, (4, 12), generator=torch.Generator().manual_seed(4))
REFUSALS = (AnatomyError, DropError, SpecError)
# Scaled streams, mixtures of attention, biases beside the output, convolutions, two mixers, further branches,
# scaled and transformed heads, stacked experts, several streams, state-space layers, shared keys.
FAST = [
    "beam", "doge", "jetmoe", "gpt_neox_japanese", "lfm2", "falcon_h1", "gemma4_text", "minicpm3", "roberta",
    "llama4_text", "hy_v4", "zaya", "jamba", "minimax",
]  # fmt: skip


@dataclass
class Row:
    """What was found in one class: counts, or why not."""

    family: str
    found: str = ""
    drops: str = ""
    blocks: str = ""
    saved: str = ""
    cached: str = ""
    sparsity: str = ""
    left: str = ""
    lens: str = ""
    refused: str = ""


@torch.no_grad()
def logits(model: nn.Module, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    return model(input_ids=tokens).logits


@contextmanager
def one_sentence(row: Row) -> Iterator[None]:
    """A refusal is one sentence; anything else is a failure of the test."""
    try:
        yield
    except (*REFUSALS, SaveError) as error:
        row.refused = row.refused or _sentence(error)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text if text.strip() and "\n" not in text else pytest.fail(f"not one sentence: {text!r}")


def check(name: str, folder: Path) -> Row:
    """Everything that is promised of one class."""
    lm, row = tiny(name), Row(name)
    dense = logits(lm.model)
    _drops(lm, row)
    _blocks(lm, row)
    _saved(lm, row, folder)
    _weights(lm, row)
    assert torch.equal(logits(lm.model), dense), "not restored"
    head = lm.anatomy.head
    row.lens = "no head" if head is None else "no" if head.no_lens else "yes"
    if head is not None:
        hidden = head.backbone(input_ids=TOKENS).last_hidden_state
        torch.testing.assert_close(lm.anatomy.logits_from_hidden(hidden, final_norm=False), dense)
    return row


def _drops(lm: LanguageModel, row: Row) -> None:
    """A sublayer that is found can be dropped, and then the model is the one patched by hand."""
    exact = {kind: 0 for kind in KINDS}
    for kind in KINDS:
        for layer in lm.anatomy.layers:
            if layer.sublayer(kind) is None:
                with one_sentence(row), pruned(lm, f"{kind}:[{layer.index}]"):
                    pytest.fail("dropped what was not found")
                continue
            assert lm.name in PARTS, f"{lm.name}: found, but nobody wrote down what its parts are"
            with hooks(zeroed(lm.model, by_hand(lm.name, kind, layer.index))):
                truth = logits(lm.model)
            with pruned(lm, f"{kind}:[{layer.index}]"):
                assert torch.equal(logits(lm.model), truth), f"{lm.name} {kind}:[{layer.index}]"
            exact[kind] += 1
    total = len(lm.anatomy.layers)
    row.found = " ".join(f"{kind} {count}/{total}" for kind, count in exact.items())
    row.drops = f"{sum(exact.values())} exact"


def _blocks(lm: LanguageModel, row: Row) -> None:
    """A dropped block is a layer that passes the stream on."""
    done = 0
    for layer in lm.anatomy.layers:
        with one_sentence(row), pruned(lm, f"block:[{layer.index}]"):
            inside = logits(lm.model)
            done += 1
            assert torch.equal(inside, logits(lm.model))
            smaller = logits(prune(lm, f"block:[{layer.index}]").model)
            torch.testing.assert_close(inside, smaller, rtol=1e-4, atol=1e-4)
    row.blocks = f"{done}/{len(lm.anatomy.layers)}"


def _saved(lm: LanguageModel, row: Row, folder: Path) -> None:
    """A pruned model is saved as it is in memory, or refused with nothing left behind; its cache is right."""
    kinds = [kind for kind in KINDS if any(layer.sublayer(kind) for layer in lm.anatomy.layers)]
    places = {kind: next(i for i, x in enumerate(lm.anatomy.layers) if x.sublayer(kind)) for kind in kinds}
    spec = "+".join(f"{kind}:[{place}]" for kind, place in places.items()) or "dense"
    outcomes = []
    for index, wanted in enumerate((spec, "block:[1]")):
        target = folder / str(index)
        try:
            smaller = prune(lm, wanted)
            save(smaller, target)
            again = type(lm.model).from_pretrained(target).eval()
            torch.testing.assert_close(logits(again), logits(smaller.model), rtol=1e-4, atol=1e-4)
            outcomes.append("yes")
            row.cached = _cached(smaller.model)
        except (*REFUSALS, SaveError) as error:
            row.refused = row.refused or _sentence(error)
            outcomes.append("left behind" if target.exists() else "refused")
    assert "left behind" not in outcomes
    row.saved = " ".join(outcomes)


def _cached(model: nn.Module) -> str:
    """Whether text written with a cache is the text written without; some classes of the library differ."""
    prompt = TOKENS[:1, :7]
    try:
        texts = [written(model, prompt, 5, use_cache) for use_cache in (True, False)]
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError):
        return "does not generate"
    return "yes" if torch.equal(*texts) else "no"


def _weights(lm: LanguageModel, row: Row) -> None:
    """Half of every matrix goes, along its inputs; routers, norms and vectors stay."""
    before = {key: value.clone() for key, value in lm.model.state_dict().items()}
    with one_sentence(row), pruned(lm, "wanda:50%", CALIBRATION) as applied:
        (fact,) = applied.facts
        changed = {key for key, value in lm.model.state_dict().items() if not torch.equal(value, before[key])}
        assert not any(".router." in key or "norm" in key.split(".")[-2] for key in changed), changed
        assert fact["sparsity"] == pytest.approx(0.5, abs=0.02)
        row.sparsity = f"{fact['sparsity']:.3f}"
        row.left = f"{fact.get('left_share', 0):.3f}"
        assert changed


@pytest.mark.parametrize("name", FAST)
def test_found_and_right_or_refused(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_class(name: str, tmp_path: Path) -> None:
    row = check(name, tmp_path)
    table = os.environ.get("FAMILIES_TABLE")
    if table:
        fresh = not Path(table).exists()
        with Path(table).open("a", newline="") as stream:
            writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
            if fresh:
                writer.writeheader()
            writer.writerow(asdict(row))


def test_the_list_is_long() -> None:
    assert len(EVERY) >= 150
    assert len(PARTS) >= 40
    assert set(PARTS) <= set(EVERY)
    assert not set(NOT_BUILT) & set(EVERY)
