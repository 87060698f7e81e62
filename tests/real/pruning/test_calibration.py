"""Which specs are shown on three calibration texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from real.pruning.calibration import SEEDS, Calibration, calibration_seeds, spread


@pytest.mark.parametrize(
    "spec", ["sparsegpt:50%", "wanda:2:4", "attn:1+wanda:50%@[1]", "attn:[0]+linear+sparsegpt:2:4"]
)
@pytest.mark.parametrize("calibration", [None, "own", ["some", "texts"]])
def test_masks_found_layer_by_layer_are_chaotic(spec: str, calibration: Calibration) -> None:
    assert calibration_seeds(spec, calibration) == SEEDS


@pytest.mark.parametrize("spec", ["dense", "attn:2", "attn:2@kl+linear", "random:2", "magnitude:50%", "int8"])
def test_all_others_are_made_once(spec: str) -> None:
    assert calibration_seeds(spec) == (0,)


@pytest.mark.parametrize("ids", [torch.ones(2, 8, dtype=torch.long), [torch.ones(8, dtype=torch.long)]])
def test_given_ids_are_what_they_are(ids: Calibration) -> None:
    assert calibration_seeds("wanda:2:4", ids) == (0,)


def test_so_is_a_checkpoint(tmp_path: Path) -> None:
    assert calibration_seeds(str(tmp_path)) == (0,)


def test_the_spread_holds_every_value() -> None:
    assert spread("kl", (0.2, 0.1, 0.3)) == {"kl_least": 0.1, "kl_most": 0.3}
    assert all(value != value for value in spread("kl", ()).values())
