"""The same seed gives the same model, whatever the number of threads."""

from __future__ import annotations

import pytest
import torch

from real.models.content import weights_hash
from real.pruning.apply import pruned
from real.pruning.threads import one_thread
from tests.real.conftest import tiny_language_model


@pytest.mark.parametrize("spec", ["sparsegpt:50%", "wanda:2:4"])
def test_masks_do_not_depend_on_threads(spec: str) -> None:
    lm = tiny_language_model(hidden_size=128, intermediate_size=256)
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            with pruned(lm, spec):
                found.add(weights_hash(lm.model))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_one_thread_inside_and_as_before_after() -> None:
    before = torch.get_num_threads()

    def fails() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert torch.get_num_threads() == before
