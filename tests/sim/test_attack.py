"""The attack: its columns are those of theory, sharp bounds are reached, a false bound falls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.attack import Target, attack, targets
from sim.differentiable import _COLUMNS, columns
from theory.families import catalogue
from theory.measure import measure
from theory.symbols import COLUMNS, oscillation, tv
from theory.theorem import at_most


@given(st.integers(0, 2**31), st.sampled_from((2, 3, 9)), st.floats(0.01, 3.0))
def test_differentiable_columns_are_those_of_measure(seed: int, vocabulary: int, noise: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(3, vocabulary, generator=generator, dtype=torch.float64)
    delta = noise * torch.randn(3, vocabulary, generator=generator, dtype=torch.float64)
    drift = measure(z, z + delta)
    for name, value in columns(z, delta, sorted(_COLUMNS)).items():
        torch.testing.assert_close(value, getattr(drift, name), rtol=1e-8, atol=1e-12, msg=name)


def test_every_column_of_theory_can_be_attacked() -> None:
    assert set(_COLUMNS) == set(COLUMNS)


@pytest.mark.parametrize("name", ["B1", "B5", "C5"])
def test_sharp_bounds_are_reached_and_never_exceeded(name: str) -> None:
    frame = attack(name, (2, 256), steps=60)
    assert (frame["tightness"] >= 0.999).all()
    assert (frame["excess"] <= 0).all()


def test_random_starts_climb_to_the_bound_without_the_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.attack._witness_starts", lambda *_: (np.empty((0, 3)), np.empty((0, 3))))
    frame = attack("B1", (3,), steps=150)
    assert frame["start"].tolist() == ["random"]
    assert float(frame["tightness"].iloc[0]) > 0.999


def test_a_false_bound_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    false = replace(catalogue["B1"], claims=(at_most(tv, oscillation / 5),))
    monkeypatch.setattr("sim.attack.targets", lambda _: [Target("B1", false.claims[0], "upper")])
    assert float(attack("B1", (2,), steps=30)["excess"].iloc[0]) > 0.1


def test_attack_is_reproducible() -> None:
    first, second = (attack("B1", (3,), seed=4, steps=20) for _ in range(2))
    assert first.equals(second)


def test_an_estimate_has_no_bound_to_attack() -> None:
    with pytest.raises(ValueError, match="no inequality"):
        targets(catalogue["T2"])
