"""Tokens on their way up: watching from where the last place was is watching from the bottom."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from real.structure.ascent import Ascent
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.places import RepairError, places
from real.structure.stream import trunk_up_to
from tests.real.every_family import tiny
from tests.real.families import LAYERS, TRANSFORMERS, language_model, some_tokens

TOKENS = some_tokens(rows=4, length=9)


@pytest.mark.parametrize("parts", ["attn0 mlp1 attn2", "attn0 block1 mlp2"])
@pytest.mark.parametrize("name", [*TRANSFORMERS, "bamba", "gemma3n_text"])
def test_climbing_is_starting_from_the_bottom(name: str, parts: str) -> None:
    """In every family, with what was watched before dropped meanwhile; inputs and outputs, token by token."""
    lm = language_model(name) if name in TRANSFORMERS else tiny(name)
    model, listed = lm.anatomy, [Part(int(one[-1]), one[:-1]) for one in parts.split()]  # type: ignore[arg-type]
    try:
        found = places(model, listed)
    except (RepairError, ValueError):
        pytest.skip("no such place")
    ascent, gone = Ascent(model, TOKENS), []
    for place in found:
        with dropped(model, gone, verify=False):
            seen = ascent.watch(place)
            top = model.layers[place.parts[-1].layer]
            expected = place.watch(model, partial(trunk_up_to, model, top, TOKENS))
        for one, other in zip(seen, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        gone += place.parts
    if name == "llama" and parts.startswith("attn0 mlp1"):
        assert ascent.layers_run == LAYERS - 1


def test_places_come_from_the_bottom_up() -> None:
    lm = language_model("llama")
    below, above = places(lm.anatomy, [Part(0, "attn"), Part(2, "attn")])
    ascent = Ascent(lm.anatomy, TOKENS)
    ascent.watch(above)
    with pytest.raises(ValueError, match="from the bottom up: layer 0 after layer 2"):
        ascent.watch(below)
