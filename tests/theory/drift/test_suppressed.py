"""Logits of -inf at the same places in both models: probability zero, measured on the common support."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from theory import enclose, measure
from theory.drift.privacy import hockey_stick
from theory.drift.tokens import gumbel_flip, token_log_probs
from theory.drift.vectors import measure_vectors

Function = Callable[[Tensor, Tensor], Tensor]
PAIRED: dict[str, Function] = {
    "measure": lambda z, w: torch.stack([column.double() for column in vars(measure(z, w)).values()], -1),
    "enclose": lambda z, w: torch.stack([end for pair in enclose(z, w).values() for end in pair], -1),
    "hockey_stick": lambda z, w: hockey_stick(z, w, [0.0, 0.5]),
    "gumbel_flip": gumbel_flip,
}


def pair(seed: int = 0, shape: tuple[int, ...] = (2, 5, 9)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(*shape, generator=generator)
    suppressed = torch.rand(*shape, generator=generator) < 0.4
    suppressed[..., 2] = False
    suppressed[0, 0], suppressed[1, 3] = False, suppressed[0, 1]
    return logits, logits + 0.3 * torch.randn(*shape, generator=generator), suppressed


@pytest.mark.parametrize("name", PAIRED)
def test_each_row_is_measured_on_its_own_support(name: str) -> None:
    logits, perturbed, suppressed = pair()
    hidden = [side.masked_fill(suppressed, -math.inf) for side in (logits, perturbed)]
    found = PAIRED[name](*hidden)
    for place in [(i, j) for i in range(2) for j in range(5)]:
        kept = ~suppressed[place]
        alone = PAIRED[name](logits[place][kept], perturbed[place][kept])
        torch.testing.assert_close(found[place], alone, rtol=1e-12, atol=0, equal_nan=True)


def test_padded_rows_of_the_vocabulary_change_nothing() -> None:
    logits, perturbed = torch.randn(2, 4, 300, generator=torch.Generator().manual_seed(1))
    padded = [torch.nn.functional.pad(side, (0, 20), value=-math.inf) for side in (logits, perturbed)]
    drift, plain = measure(*padded), measure(logits, perturbed)
    for name in drift.columns:
        assert getattr(drift, name).equal(getattr(plain, name)), name
    assert drift.vocabulary.eq(300).all()


def test_options_may_be_suppressed_but_not_all() -> None:
    logits, perturbed, _ = pair(2, (3, 6, 9))
    for side in (logits, perturbed):
        side[..., 4:] = -math.inf
    drift = measure(logits, perturbed, options=torch.tensor([0, 3, 7]))
    assert drift.kl.equal(measure(logits, perturbed, options=torch.tensor([0, 3])).kl)
    assert drift.vocabulary.eq(2).all()
    with pytest.raises(ValueError, match="options holds no token that can be drawn"):
        measure(logits, perturbed, options=torch.tensor([7, 8]))


def test_suppressed_tokens_have_log_probability_minus_infinity() -> None:
    logits = torch.tensor([[1.0, -math.inf, 0.5]]).expand(3, 3)
    found = token_log_probs(logits, torch.tensor([0, 1, 2]))
    assert found[1] == -math.inf
    assert found[[0, 2]].exp().sum().item() == pytest.approx(1, rel=1e-15)


SUPPRESSED = torch.tensor([0.0, -math.inf, 1.0])
BAD = {
    "nan": (torch.tensor([0.0, math.nan, -math.inf]), "logits contains nan; expected finite values"),
    "plus infinity": (
        torch.tensor([0.0, math.inf, -math.inf]),
        "logits contains inf; expected finite values",
    ),
    "no token": (torch.full((3,), -math.inf), "logits has a row that is -inf throughout"),
    "float8": (
        torch.zeros(3).to(torch.float8_e4m3fn),
        "logits has dtype torch.float8_e4m3fn; expected float16",
    ),
    "meta": (torch.zeros(3, device="meta"), "logits is on the device meta and holds no values"),
    "sparse": (torch.zeros(3).to_sparse(), "logits has layout torch.sparse_coo; expected a dense tensor"),
}


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_named_in_one_sentence(name: str, kind: str) -> None:
    logits, message = BAD[kind]
    with pytest.raises(ValueError, match=message) as caught:
        PAIRED[name](logits, logits)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PAIRED)
def test_other_places_are_refused(name: str) -> None:
    for other in (torch.tensor([-math.inf, 0.0, 1.0]), torch.zeros(3)):
        with pytest.raises(ValueError, match="perturbed is -inf at other places than logits"):
            PAIRED[name](SUPPRESSED, other)


@pytest.mark.parametrize("kind", ["float8", "meta", "sparse"])
def test_vectors_without_plain_values_are_named(kind: str) -> None:
    with pytest.raises(ValueError, match=BAD[kind][1].replace("logits", "x").split(";")[0]):
        measure_vectors(BAD[kind][0], BAD[kind][0])
    with pytest.raises(ValueError, match="x contains -inf"):
        measure_vectors(SUPPRESSED, SUPPRESSED)
