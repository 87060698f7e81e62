"""Layers made lighter by rounding or sparsity are candidates like dropped parts."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from real.models.load import LanguageModel
from real.pruning.apply import pruned
from real.pruning.calibration import MEASURED
from real.search.budget import Budget
from real.search.candidates import Lighter
from real.search.search import within
from real.structure.part import Part
from real.text.continuations import generated_hidden
from real.text.texts import calibration_tokens
from tests.real.search.conftest import searched

MIXED = ("attn", "mlp", "int8", "int4", "magnitude:50%", "wanda:50%")


def test_lighter_layers_are_measured_as_their_spec_does(lm: LanguageModel) -> None:
    """Resumed from the lowest change, a set is the model that its spec makes, on the search's calibration."""
    search = searched(lm, kinds=MIXED, saving="bytes")
    sets = [
        [Lighter(2, "int4")],
        [Lighter(1, "wanda:50%"), Part(0, "attn")],
        [Lighter(3, "magnitude:50%"), Lighter(1, "int8"), Part(2, "mlp")],
    ]
    few = calibration_tokens(lm.tokenizer, *MEASURED)
    search.texts.resume.rebase(sets[1])
    before = {key: weight.clone() for key, weight in lm.model.state_dict().items()}
    for chosen in sets:
        point = search.measured(chosen)
        with pruned(lm, point.spec, few):
            hidden = generated_hidden(lm, search.texts.samples)[0]
        assert point.drift == pytest.approx(search.texts.of_states(hidden), rel=1e-3)
    assert all(torch.equal(weight, before[key]) for key, weight in lm.model.state_dict().items())


def test_what_lighter_layers_save(lm: LanguageModel) -> None:
    matrices = 32 * 32 * 2 + 16 * 32 * 2 + 3 * 32 * 48
    total = sum(p.numel() for p in lm.model.parameters())
    found = {str(one.kind): found for one, found in searched(lm, kinds=MIXED, saving="bytes").savings.items()}
    assert found["int4"] == pytest.approx(3.5 / 4 * matrices / total)
    assert found["int8"] == pytest.approx(3 / 4 * matrices / total)
    assert found["wanda:50%"] == pytest.approx((2 - 1 / 8) / 4 * matrices / total)
    assert found["attn"] + found["mlp"] == pytest.approx(matrices / total)
    found = {one.kind: found for one, found in searched(lm, kinds=["wanda:2:4", "mlp"]).savings.items()}
    assert found["wanda:2:4"] == pytest.approx(matrices / 2 / total)
    assert found["mlp"] == pytest.approx(3 * 32 * 48 / total)


def test_a_mixed_search_keeps_its_budget_and_goes_on(lm: LanguageModel, tmp_path: Path) -> None:
    """Rounding a layer may give way to dropping a part of it; nothing stands twice for one layer."""
    budget = Budget("kl", 0.3)
    search = searched(lm, tmp_path, budget, MIXED, "bytes")
    best = within(search, budget)
    assert best.drift <= 0.3
    assert best.saved > max(search.savings.values())
    for point in search.points.values():
        for one, other in itertools.combinations(point.parts, 2):
            assert one.layer != other.layer or {one.kind, other.kind} == {"attn", "mlp"}
    again = searched(lm, tmp_path, budget, MIXED, "bytes")
    assert within(again, budget) == best
    assert again.journal.recalled > 30
