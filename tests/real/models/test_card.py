"""The model card of a model with a hostile name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from markdown_it import MarkdownIt

from real.models.save import model_card
from tests.real.conftest import tiny_language_model
from tests.theory.hostile import HOSTILE
from theory.outside import visible

LM = tiny_language_model()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_card_obeys_no_name(text: str) -> None:
    steps = [{"step": text, "dropped": [text], "calibration": text, "calibration_tokens": (1, 2)}]
    origin = {"name": text, "weights": text, text: text, "pruning": {"spec": text, "seed": 0, "steps": steps}}
    card = model_card(replace(LM, provenance=origin))
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "transformers",
        "base_model": visible(text),
        "tags": ["pruned", "softmax-drift"],
    }
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2"]
    assert [token.info for token in tokens if token.type == "fence"] == ["python", "json"]
    assert "html_block" not in {token.type for token in tokens}
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "code_inline", "softbreak", "text_special"}
