"""The attack: its symbols are those of theory, sharp bounds are reached, a false bound falls."""

from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.attacks import search as attack_module
from sim.attacks.ascent import Starts, Target
from sim.attacks.search import NothingToAttackError, attack, targets
from sim.attacks.worlds import WORLDS, Given, world_of
from sim.attacks.worlds.differentiable import COLUMNS, columns
from sim.attacks.worlds.pairs import WORLDS as PAIRS
from sim.attacks.worlds.sequences import Chains, Trees, _scaled
from sim.sweeps.results import attack_summary, read_json, write_json
from theory.drift.measure import measure
from theory.drift.tokens import gumbel_flip
from theory.formulas.claims import at_most
from theory.formulas.symbols import COLUMNS as THEORY
from theory.formulas.symbols import oscillation, tv
from theory.instances.instance import DIGITS
from theory.instances.trees import Tree
from theory.sequences import markov
from theory.statements.catalogue import catalogue
from theory.theorems.theorem import Status


def starts(world: object, size: int, seed: int, rows: int = 4) -> Starts:
    rng = np.random.default_rng(seed)
    free = world.start(rng, rows, size)  # type: ignore[attr-defined]
    return Starts(free, rng.uniform(0.1, 3.0, rows), rng.uniform(0.1, 0.9, rows))


@given(st.integers(0, 2**31), st.sampled_from((2, 3, 9)), st.floats(0.01, 3.0))
def test_differentiable_columns_are_those_of_measure(seed: int, vocabulary: int, noise: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(3, vocabulary, generator=generator, dtype=torch.float64)
    delta = noise * torch.randn(3, vocabulary, generator=generator, dtype=torch.float64)
    drift = measure(z, z + delta)
    for name, value in columns(z, delta, sorted(COLUMNS)).items():
        torch.testing.assert_close(value, getattr(drift, name), rtol=1e-8, atol=1e-12, msg=name)


def test_every_column_of_theory_can_be_attacked() -> None:
    assert set(COLUMNS) == set(THEORY)


@given(st.integers(0, 2**31), st.sampled_from((2, 3, 9)))
def test_the_shared_seed_flips_as_theory_says(seed: int, size: int) -> None:
    world = PAIRS[0]
    points = starts(world, size, seed)
    free = {name: torch.from_numpy(value) for name, value in points.free.items()}
    found = world.columns(free, points.given, ("gumbel_flip", "oscillation"))
    z = free["z"]
    low, high = free["delta"].amin(-1, keepdim=True), free["delta"].amax(-1, keepdim=True)
    change = points.given.oscillation[:, None] * (free["delta"] - low) / (high - low)
    torch.testing.assert_close(found["oscillation"], points.given.oscillation)
    torch.testing.assert_close(found["gumbel_flip"], gumbel_flip(z, z + change), rtol=1e-9, atol=1e-14)


@given(st.integers(0, 2**31), st.sampled_from(((2, 3), (3, 2))))
def test_sequence_symbols_are_those_of_the_enumerated_tree(seed: int, shape: tuple[int, int]) -> None:
    size, steps = shape
    world = Trees(steps)
    points = starts(world, size, seed, rows=1)
    free = {name: torch.from_numpy(value) for name, value in points.free.items()}
    names = sorted(world.symbols - {"two_token_tv", "first_budget", "second_budget"})
    found = world.columns(free, points.given, names)
    z, delta = free["z"][0], _scaled(free["delta"], points.given.oscillation)[0]
    dense, perturbed = (torch.softmax(x, -1).tolist() for x in (z, z + delta))

    def law(prefix: tuple[int, ...]) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        place = sum(size**level for level in range(len(prefix)))
        for token, power in zip(prefix, reversed(range(len(prefix))), strict=True):
            place += token * size**power
        return tuple([mpmath.mpf(x) for x in law[place]] for law in (dense, perturbed))  # type: ignore[return-value]

    with mpmath.workdps(DIGITS):
        tree = Tree(steps, law)
        for name in names:
            assert float(found[name][0]) == pytest.approx(float(tree[name]), rel=1e-9, abs=1e-12), name


@given(st.integers(0, 2**31), st.sampled_from((2, 4)))
def test_chain_symbols_are_those_of_theory(seed: int, size: int) -> None:
    world = Chains()
    points = starts(world, size, seed, rows=1)
    free = {name: torch.from_numpy(value) for name, value in points.free.items()}
    names = ("marginal_tv", "step_tv", "survival_rate", "chernoff_rate")
    found = {name: float(value[0]) for name, value in world.columns(free, points.given, names).items()}
    z, delta = free["z"][0], _scaled(free["delta"], points.given.oscillation)[0]
    dense, perturbed = (torch.softmax(x, -1).numpy() for x in (z, z + delta))
    start = np.eye(size)[0]
    assert found["step_tv"] == pytest.approx(markov.leak(dense, perturbed).max(), rel=1e-9)
    truth = markov.marginal_tv(start, dense, perturbed, world.steps)[-1]
    assert found["marginal_tv"] == pytest.approx(truth, rel=1e-9)
    assert found["survival_rate"] == pytest.approx(np.exp(-markov.decay_rate(dense, perturbed)), rel=1e-9)
    least = np.exp(-markov.chernoff_exponent(dense, perturbed))
    assert least - 1e-12 <= found["chernoff_rate"] <= 1.01 * least


@pytest.mark.parametrize("name", ["B1", "B5", "C5", "C8", "F6"])
def test_sharp_bounds_are_reached_and_never_exceeded(name: str) -> None:
    frame = attack(name, (2, 64), steps=40)
    assert (frame.loc[frame["sharp"], "tightness"] >= 0.999).all()
    assert (frame["excess"] <= 0).all()


@pytest.mark.parametrize(
    "name", ["B2", "B4", "E4", "E6", "G2", "G4", "G7", "G11", "H1", "H3", "H4", "J2", "J7"]
)
def test_sharp_bounds_on_sequences_heads_and_options_are_reached(name: str) -> None:
    frame = attack(name, (3,), steps=60)
    assert (frame["excess"] <= 0).all()
    searched = frame[frame["size"] > 0]
    assert (searched.loc[searched["sharp"], "tightness"] >= 0.97).all()
    assert (frame[frame["sharp"]].groupby(["claim", "side"])["tightness"].max() >= 0.999).all()


def test_every_theorem_is_attacked_or_says_why_not() -> None:
    for theorem in catalogue:
        attained = [
            (claim, bound.side)
            for number, claim in enumerate(theorem.claims)
            for bound in claim.bounds
            if theorem.attained(number, bound.side) and not claim.exact
        ]
        if theorem.status is Status.SHARP:
            assert attained
        if not attained:
            continue
        if any(world_of(claim) for claim, _ in attained):
            assert set(attained) <= {(t.claim, t.side) for t in targets(theorem)}, theorem.id
        else:
            with pytest.raises(NothingToAttackError, match="no world draws"):
                targets(theorem)


def test_random_starts_climb_to_the_bound_without_the_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Starts({"z": np.empty((0, 3)), "delta": np.empty((0, 3))}, np.empty(0), np.empty(0))
    monkeypatch.setattr("sim.attacks.search._witness_starts", lambda *_: none)
    frame = attack("B1", (3,), steps=150)
    assert frame["start"].tolist() == ["random"]
    assert float(frame["tightness"].iloc[0]) > 0.999


@pytest.mark.parametrize("size", [2, 4])
def test_a_false_bound_is_broken(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    claim = at_most(tv, oscillation / 5)
    monkeypatch.setattr(attack_module, "targets", lambda _: [Target("B1", claim, "upper", True)])
    assert float(attack("B1", (size,), steps=30)["excess"].iloc[0]) > 0.1


def test_a_false_bound_on_sequences_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """G3x: the product of the mean overlaps is no bound of survival."""
    claim = catalogue["G3x"].claims[0]
    monkeypatch.setattr(attack_module, "targets", lambda _: [Target("G3x", claim, "lower", False)])
    assert float(attack("G3", (2,), steps=100)["excess"].max()) > 0.1


def test_attack_is_reproducible() -> None:
    first, second = (attack("B1", (3,), seed=4, steps=20) for _ in range(2))
    assert first.equals(second)


def test_negative_quantities_are_tight_when_equal() -> None:
    claim = catalogue["H3"].claims[0]
    target = Target("H3", claim, "lower", True)
    lower = claim.lower
    assert lower is not None
    values = {"oscillation": np.array([1.0]), "token_mass": np.array([0.3])}
    bound = lower(**values)
    assert target.log_tightness({**values, "log_ratio": bound})[0] == pytest.approx(0.0)
    assert (
        target.log_tightness({**values, "log_ratio": bound / 2})[0]
        < 0
        < target.log_tightness({**values, "log_ratio": 2 * bound})[0]
    )


@pytest.mark.parametrize("name", ["T2", "A2", "B6x", "F5", "C9"])
def test_what_bounds_nothing_says_so(name: str) -> None:
    with pytest.raises(NothingToAttackError, match=f"theorem {name} "):
        targets(catalogue[name])


def test_every_world_gives_finite_symbols() -> None:
    for world in WORLDS:
        points = starts(world, min(world.sizes), 0)
        free = {name: torch.from_numpy(value) for name, value in points.free.items()}
        given_ = Given(points.given.oscillation, points.given.share)
        for name, value in world.columns(free, given_, sorted(world.symbols)).items():
            assert value.shape == (4,), name
            assert torch.isfinite(value).all(), (type(world).__name__, name)


def test_a_summary_keeps_the_best_ratio_of_every_size(tmp_path: Path) -> None:
    frame = attack("B1", (2, 3), steps=5)
    path = tmp_path / "attack.json"
    write_json(attack_summary(frame, {"T2": "why"}, 0, 5), path)
    data = read_json(path)
    assert data["attacked"][0]["tightness"].keys() == {"2", "3"}
    assert data["nothing"] == {"T2": "why"}
