"""The tiny transformer: it learns, is deterministic, and its accuracies respect the bounds."""

import pandas as pd
import pytest
import torch
from transformers import LlamaForCausalLM

from sim.toy import Task, pruned, pruning_curve, train
from sim.toy.model import answer_log_probs, sample

TASK = Task(base=3, length=4)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return train(TASK, seed=0, steps=150)


@pytest.fixture(scope="module")
def curve(model: LlamaForCausalLM) -> pd.DataFrame:
    return pruning_curve(model, TASK, "magnitude", (0.0, 0.3, 0.6, 0.8), prompts=300)


def test_answers_are_the_running_sums() -> None:
    prompts = torch.tensor([[1, 2, 2, 0, TASK.multiple], [2, 2, 1, 1, TASK.multiple]])
    assert TASK.answers(prompts).tolist() == [[1, 0, 2, 2], [2, 1, 2, 0]]
    prompts[:, -1] = TASK.single
    assert TASK.answers(prompts).tolist() == [[0], [1]]


def test_both_tasks_are_learned(curve: pd.DataFrame) -> None:
    dense = curve[curve["amount"] == 0.0].set_index("task")
    assert dense.loc["single", "dense"] > 0.9
    assert dense.loc["multiple", "dense"] > 0.8


def test_without_pruning_nothing_drifts(curve: pd.DataFrame) -> None:
    same = curve[curve["amount"] == 0.0]
    assert (same[["oscillation", "tv", "coupling"]] == 0).all().all()
    torch.testing.assert_close(same["dense"].tolist(), same["floor"].tolist())


def test_accuracies_respect_the_bounds(curve: pd.DataFrame) -> None:
    assert (curve["pruned"] >= curve["floor"] - 1e-9).all()
    change = (curve["dense"] - curve["pruned"]).abs()
    assert (change <= curve["tv_high"]).all()
    assert (curve["tv"] <= curve["coupling"] + 1e-9).all()


def test_many_steps_suffer_more_than_one(curve: pd.DataFrame) -> None:
    lost = (curve["dense"] - curve["pruned"]).groupby(curve["task"]).sum()
    assert lost["multiple"] > lost["single"]


def test_training_is_deterministic_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (train(TASK, seed=1, steps=3).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_sampled_accuracy_is_the_exact_one(model: LlamaForCausalLM) -> None:
    smaller = pruned(model, "mlp", 0.7)
    prompts = TASK.prompts(2000, TASK.multiple, torch.Generator().manual_seed(1))
    right = TASK.answers(prompts)
    drawn = sample(smaller, prompts, TASK.length, torch.Generator().manual_seed(2))
    with torch.no_grad():
        exact = answer_log_probs(smaller, prompts, right).sum(1).exp().mean()
    assert float((drawn == right).all(1).double().mean()) == pytest.approx(float(exact), abs=0.06)


@pytest.mark.parametrize("pruning", ["magnitude", "attention", "mlp"])
def test_pruning_works_on_a_copy(model: LlamaForCausalLM, pruning: str) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    smaller = pruned(model, pruning, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert any(not torch.equal(value, before[name]) for name, value in smaller.state_dict().items())


@pytest.mark.parametrize(
    ("pruning", "amount", "names"), [("magnitud", 0.5, "magnitude"), ("mlp", 1.5, "amount")]
)
def test_bad_pruning_is_named(model: LlamaForCausalLM, pruning: str, amount: float, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        pruned(model, pruning, amount)
