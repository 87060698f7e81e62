"""Adversarial logits for property tests: sizes 1 to 8, ties, gaps up to 1e4, changes from 1e-12 to 1e4,
any dtype.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

CHANGES = (0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0, 1e4)
GAPS = (0.0, 1e-3, 1.0, 10.0, 100.0, 1e4)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@st.composite
def pairs(
    draw: st.DrawFn,
    dtypes: tuple[torch.dtype, ...] = (torch.float64,),
    gaps: tuple[float, ...] = GAPS,
    changes: tuple[float, ...] = CHANGES,
) -> tuple[Tensor, Tensor]:
    """Dense and perturbed logits, shape (V,)."""
    dtype = draw(st.sampled_from(dtypes))
    size = draw(st.integers(1, 8))
    gap, change = draw(st.sampled_from(gaps)), draw(st.sampled_from(changes))
    unit = st.one_of(st.sampled_from((-1.0, 0.0, 0.5, 1.0)), st.floats(-1, 1, width=32))
    logits = torch.tensor(draw(st.lists(unit, min_size=size, max_size=size)), dtype=torch.float64) * gap
    shift = torch.tensor(draw(st.lists(unit, min_size=size, max_size=size)), dtype=torch.float64) * change
    offset = draw(st.sampled_from((0.0, 1.0, -30.0)))
    return (logits + offset).to(dtype), (logits + offset + shift).to(dtype)
