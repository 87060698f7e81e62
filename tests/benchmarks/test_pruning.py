"""Calibration: Wanda is limited by forward passes, SparseGPT by Hessians. Ratios of one run, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import real.pruning.sparsify
import real.structure.walk
from real.pruning.sparsegpt import Hessian
from real.pruning.sparsify import sparsify
from real.pruning.spec import parse_spec
from real.pruning.wanda import InputNorms, wanda_mask
from real.structure.recognise import anatomy
from tests.benchmarks.test_trace import seconds, smollm2_shape

pytestmark = pytest.mark.benchmark


class Clock:
    """Adds up the processor time of wrapped functions."""

    def __init__(self) -> None:
        self.total = 0.0

    def wrap(self, work: Callable[..., object]) -> Callable[..., object]:
        """``work``, timed."""

        def timed(*args: object, **kwargs: object) -> object:
            start = time.process_time()
            result = work(*args, **kwargs)
            self.total += time.process_time() - start
            return result

        return timed


def calibration(rows: int, length: int = 512) -> Tensor:
    """Random token ids."""
    return torch.randint(0, 49152, (rows, length), generator=torch.Generator().manual_seed(0))


def test_wanda_statistics_and_masks_beside_the_forward_passes(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """32 of the 128 rows of 512 tokens: masks weigh four times as much here as in the whole run."""
    lm, clock = smollm2_shape(layers=2), Clock()
    found = anatomy(lm.model)
    monkeypatch.setattr(InputNorms, "add", clock.wrap(InputNorms.add))
    monkeypatch.setattr(real.pruning.sparsify, "wanda_mask", clock.wrap(wanda_mask))
    step = parse_spec("wanda:2:4").steps[0]
    whole = seconds(lambda: sparsify(found, step, calibration(32), lambda parameter: None))
    share = clock.total / whole
    record_property("Wanda: share of statistics and masks", share)
    print(f"\nWanda: statistics and masks {share:.1%} of {whole:.1f} s")


class FullHessian(Hessian):
    """X^T X as one product, the way it is usually written."""

    def add(self, inputs: Tensor) -> None:
        """Take in activations ``(..., inputs)``."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        self.total = flat.T @ flat if self.total is None else self.total.addmm_(flat.T, flat)


def test_shared_hessians_against_one_per_matrix(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    step, rows, times = parse_spec("sparsegpt:2:4").steps[0], calibration(16), {}
    for name, hessian, shared in (("ours", Hessian, True), ("one per matrix", FullHessian, False)):
        lm, clock = smollm2_shape(layers=2), Clock()
        found = anatomy(lm.model)
        with monkeypatch.context() as patch:
            patch.setattr(hessian, "add", clock.wrap(hessian.add))
            patch.setattr(real.pruning.sparsify, "Hessian", hessian)
            if not shared:
                patch.setattr(real.structure.walk, "_same_memory", lambda one, other: False)
            whole = seconds(lambda found=found: sparsify(found, step, rows, lambda parameter: None))
        times[name] = clock.total, whole
    ratios = [times["one per matrix"][i] / times["ours"][i] for i in range(2)]
    record_property("SparseGPT: Hessians, one per matrix / shared", ratios[0])
    record_property("SparseGPT: whole run, one per matrix / shared", ratios[1])
    print(
        f"\nSparseGPT, one Hessian per matrix / ours: Hessians {ratios[0]:.2f}x, whole run {ratios[1]:.2f}x"
    )
