"""What searches are tried on: one tiny model, three prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from real.models.load import LanguageModel
from real.search.budget import Budget
from real.search.measuring import Texts
from real.search.search import Search, start
from tests.real.conftest import tiny_language_model

KL = Budget("kl", 0.3)
PROMPTS = ["One whale.", "Two tides of the sea", "Three"]


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny_language_model(num_hidden_layers=4)


def searched(
    lm: LanguageModel,
    folder: Path | None = None,
    budget: Budget = KL,
    kinds: Sequence[str] = ("attn", "mlp"),
    saving: str = "parameters",
) -> Search:
    """A search that has run every candidate by itself."""
    texts = Texts(lm, PROMPTS, 8, budget)
    return start(lm, texts, kinds, saving, folder, "facts")
