"""What pruning buys, and drafts: texts identical, accepted tokens as forecast."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from real.command_line import app
from real.models.load import LanguageModel
from real.models.save import save
from real.pruning.apply import prune
from real.search.cost import cache_bytes, costs
from real.search.draft import drafted, expected_passes, greedy_run
from tests.real.conftest import tiny_language_model
from tests.real.families import language_model, some_tokens

PROMPTS = ["One whale.", "Two tides of the sea", "Three"]
LAYER_CACHE = 2 * 2 * 8 * 4  # keys and values of two heads of eight numbers of four bytes


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny_language_model(num_hidden_layers=4)


def test_sizes_are_counted_as_they_are_saved(tmp_path: Path) -> None:
    lm = language_model("llama")
    tokens = some_tokens(rows=8, length=12)
    specs = ["dense", "attn:[1]", "block:[2]", "attn:[1]+linear", "block:[2]+linear"]
    found = {one.spec: one for one in costs(lm, specs, context=8, tokens=2, calibration=tokens)}
    for spec, one in found.items():
        folder = save(prune(lm, spec, tokens), tmp_path / spec)
        stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        assert 0 <= stored - one.saved_bytes < 8192  # headers
        assert min(one.write, one.read, one.write_ratio, one.read_ratio) > 0
    dense = found["dense"]
    assert dense.parameters == sum(p.numel() for p in lm.model.parameters())
    assert found["attn:[1]"].saved_bytes == dense.saved_bytes
    attention = sum(p.numel() for p in lm.model.model.layers[1].self_attn.parameters())
    assert found["attn:[1]"].parameters == dense.parameters - attention
    assert found["attn:[1]+linear"].parameters == dense.parameters - attention + 32 * 33
    assert (dense.cache, dense.cache_unused) == (3 * LAYER_CACHE, 0)
    assert (found["attn:[1]"].cache, found["attn:[1]"].cache_unused) == (3 * LAYER_CACHE, LAYER_CACHE)
    assert found["block:[2]"].cache == 2 * LAYER_CACHE
    assert set(cache_bytes(lm, some_tokens(rows=1, length=5)).values()) == {LAYER_CACHE}


def test_contexts_that_do_not_fit(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="must be positive and fit 256"):
        list(costs(lm, ["dense"], context=250, tokens=10))


@pytest.mark.parametrize("spec", ["attn:[2]", "mlp:[3]", "block:[1]", "dense"])
@pytest.mark.parametrize("length", [1, 3])
def test_a_draft_changes_no_text_and_is_accepted_as_forecast(
    lm: LanguageModel, spec: str, length: int
) -> None:
    found = drafted(lm, spec, PROMPTS, tokens=12, length=length)
    assert found.identical
    assert found.measured == pytest.approx(found.forecast)
    assert 1 <= found.forecast <= length + 1
    if spec == "dense":
        assert found.sampled == pytest.approx(length + 1)
        assert length < found.sampled_measured <= length + 1  # less where a text ends early


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 6))
def test_passes_of_a_run_token_by_token(agree: list[bool], length: int) -> None:
    """One token at a time: a pass begins where the draft was wrong, or had no more tokens."""
    passes, drafts = 0, 0
    for index in range(len(agree)):
        fresh = index == 0 or drafts == 0
        if fresh:
            passes += 1
            drafts = length + 1
        drafts -= 1
        if not agree[index]:
            drafts = 0
    assert greedy_run(agree, length) == passes


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=7),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_expected_passes_are_the_mean_over_all_that_can_be_accepted(
    chances: list[float], padding: int, length: int, seed: int
) -> None:
    """Every pattern of accepted and rejected tokens, with its probability."""
    expected = sum(
        math.prod(a if kept else 1 - a for a, kept in zip(chances, pattern, strict=True))
        * greedy_run(pattern, length)
        for pattern in itertools.product([True, False], repeat=len(chances))
    )
    noise = torch.rand(2, len(chances) + padding, generator=torch.Generator().manual_seed(seed)).double()
    noise[1, : len(chances)] = torch.tensor(chances, dtype=torch.float64)
    live = torch.ones_like(noise, dtype=torch.bool)
    live[1, len(chances) :] = False
    assert float(expected_passes(noise, live, length)[1]) == pytest.approx(expected)


def test_expected_passes_of_one_acceptance_rate() -> None:
    """Of a long text, 1 + a + a^2 + ... tokens each, as for independent acceptances (G6)."""
    a, live = torch.full((1, 4000), 0.7, dtype=torch.float64), torch.ones(1, 4000, dtype=torch.bool)
    assert 4000 / float(expected_passes(a, live, 4)) == pytest.approx((1 - 0.7**5) / 0.3, rel=1e-3)


def test_sampled_drafts_are_accepted_as_forecast(lm: LanguageModel) -> None:
    """Passes per text within four standard errors; a text of 12 tokens takes 4 to 12, sd below 1.5."""
    found = drafted(lm, "mlp:[2]", PROMPTS * 10, tokens=12, length=2)
    assert 1 < found.sampled < 3
    assert abs(12 / found.sampled - 12 / found.sampled_measured) < 4 * 1.5 * (2 / 30) ** 0.5


def test_the_command(lm: LanguageModel, tmp_path: Path) -> None:
    folder = save(lm, tmp_path / "model")
    prompts: Path = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(PROMPTS))
    options = ["--context", "8", "--tokens", "2", "--draft", "2", "--csv", str(tmp_path / "cost.csv")]
    done = CliRunner().invoke(app, ["cost", str(folder), "attn:[1]", *options, "--prompts", str(prompts)])
    assert done.exit_code == 0, done.output
    header, dense, dropped = (tmp_path / "cost.csv").read_text().splitlines()
    assert "identical" in header
    assert (dense.split(",")[0], dropped.split(",")[0]) == ("dense", "attn:[1]")
    assert json.dumps(True).lower() in dropped.lower()
