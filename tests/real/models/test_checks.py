"""What a model is trusted with is what it does: broken models of each kind are found, and used around."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from real.forecast.stepwise import generated_hidden
from real.models.checks import Checks, check, first_unsound, same_logits
from real.models.load import LanguageModel, load
from real.structure.probe import probe_tokens
from real.text.sample import sample
from tests.real.conftest import tiny_language_model
from tests.real.families import CONFIGS, family

PROMPTS = ["a", "some words", "one two three four"]
ALL = Checks()


@contextmanager
def forward(model: Any, change: Callable[..., Any]) -> Iterator[None]:
    """Inside, the model's forward is ``change(own forward, **arguments)``."""
    own = model.forward

    def changed(input_ids: Any = None, **arguments: Any) -> Any:
        return change(own, input_ids=input_ids, **arguments)

    changed.__signature__ = __import__("inspect").signature(own)  # type: ignore[attr-defined]
    model.forward = changed
    try:
        yield
    finally:
        del model.forward


def ignores_the_mask(own: Any, **arguments: Any) -> Any:
    return own(**arguments | {"attention_mask": None, "position_ids": None})


def counts_from_the_left(own: Any, **arguments: Any) -> Any:
    return own(**arguments | {"position_ids": None})


def forgets_its_cache(own: Any, **arguments: Any) -> Any:
    output = own(**arguments)
    cache = arguments.get("past_key_values")
    if cache is not None and cache.get_seq_length() > arguments["input_ids"].shape[1]:
        output.logits = output.logits.flip(-1)
    return output


def cannot_go_on_in_chunks(own: Any, **arguments: Any) -> Any:
    cache = arguments.get("past_key_values")
    if cache is not None and cache.get_seq_length() and arguments["input_ids"].shape[1] > 1:
        raise IndexError("one token at a time")
    return own(**arguments)


def looks_ahead(own: Any, **arguments: Any) -> Any:
    output = own(**arguments)
    output.logits = output.logits + 1e-5 * output.logits.mean(1, keepdim=True)
    return output


def overflows(own: Any, **arguments: Any) -> Any:
    output = own(**arguments)
    output.logits = output.logits * torch.tensor(float("nan"))
    return output


@pytest.mark.parametrize("name", ["llama", "gpt2", "falcon-alibi", "opt-post-norm", "gemma3", "qwen3-moe"])
def test_sound_families_are_trusted_with_everything(name: str) -> None:
    assert check(family(name)) == ALL


def test_a_recurrent_state_is_not_shared() -> None:
    assert check(family("mamba")) == Checks(shared=False)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (ignores_the_mask, Checks(padded=False)),
        (forgets_its_cache, Checks(padded=False, cached=False, shared=False)),
        (cannot_go_on_in_chunks, Checks(shared=False)),
        (looks_ahead, Checks(True, False, False, False, False)),
        (overflows, Checks(False, False, False, False, False)),
    ],
)
def test_each_fault_is_found(fault: Callable[..., Any], found: Checks) -> None:
    lm = tiny_language_model()
    with forward(lm.model, fault):
        assert check(lm.model) == found
    assert check(lm.model) == ALL


def test_positions_counted_from_the_left_are_found() -> None:
    model = family("gpt2")
    with forward(model, counts_from_the_left):
        assert check(model) == Checks(padded=False)


@pytest.mark.parametrize("fault", [ignores_the_mask, counts_from_the_left, forgets_its_cache])
def test_texts_are_right_in_spite_of_the_fault(fault: Callable[..., Any]) -> None:
    """Every row is written as if it were alone and nothing were kept from step to step."""
    lm = tiny_language_model(seed=3)
    with forward(lm.model, fault):
        faulty = LanguageModel(lm.model, lm.tokenizer, "faulty", {})
        drawn = sample(faulty, PROMPTS, 6, temperature=0)
        for row in range(len(PROMPTS)):
            whole = drawn.tokens[row, : drawn.lengths[row]]
            with torch.inference_mode():
                best = lm.model(whole.unsqueeze(0), use_cache=False).logits[0].argmax(-1)
            start = int(drawn.prompt_lengths[row])
            assert torch.equal(best[start - 1 : -1], drawn.continuation(row))


def test_scores_do_not_share_a_cache_that_cannot_be_shared() -> None:
    lm = tiny_language_model(seed=4)
    samples = sample(lm, PROMPTS, 6, samples=2, seed=1)
    expected, *_ = generated_hidden(lm, samples)
    with forward(lm.model.model, cannot_go_on_in_chunks), forward(lm.model, cannot_go_on_in_chunks):
        faulty = LanguageModel(lm.model, lm.tokenizer, "faulty", {})
        assert not faulty.checks.shared
        hidden, *_ = generated_hidden(faulty, samples)
    torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-4)


def test_a_context_shorter_than_the_probe() -> None:
    lm = tiny_language_model(max_position_embeddings=6)
    found = check(lm.model)
    assert (found.sound, found.padded, found.shared) == (True, False, False)


def test_minus_infinity_is_a_logit() -> None:
    def masks(own: Any, **arguments: Any) -> Any:
        output = own(**arguments)
        output.logits[..., [3, 200]] = -torch.inf
        return output

    lm = tiny_language_model()
    with forward(lm.model, masks):
        assert check(lm.model) == ALL


def test_rounding_is_not_a_difference_and_a_thousandth_is() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    assert same_logits(logits * (1 + 1e-6), logits)
    assert not same_logits(logits + 1e-3 * torch.eye(3, 50), logits)
    assert not same_logits(logits.masked_fill(torch.eye(3, 50).bool(), -torch.inf), logits)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mamba"])
def test_the_first_module_that_is_not_finite_is_named(name: str) -> None:
    model = family(name)
    layers = next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    matrices = (torch.nn.Linear, Conv1D)
    weight = next(m.weight for m in layers[1].modules() if isinstance(m, matrices))
    before = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(torch.inf)
    try:
        assert not check(model).sound
        assert ".1." in first_unsound(model)
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_load_asks_once_per_content(tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOFTMAX_DRIFT_CACHE", str(tmp_path / "cache"))
    asked: list[int] = []

    def counted(model: Any) -> Checks:
        asked.append(1)
        return check(model)

    monkeypatch.setattr("real.models.guard.check", counted)
    for folder in ("one", "copy"):
        tiny_lm.model.save_pretrained(tmp_path / folder)
        tiny_lm.tokenizer.save_pretrained(tmp_path / folder)
    for place in ("one", "copy", "one"):
        assert load(str(tmp_path / place)).checks == ALL
    assert len(asked) == 1
    (record,) = (tmp_path / "cache" / "checks").iterdir()
    record.write_text(record.read_text().replace("true", "false", 1))  # damaged: its hash says so
    assert load(str(tmp_path / "one")).checks == ALL
    assert len(asked) == 2
    load(str(tmp_path / "one"), dtype="bfloat16")
    assert len(asked) == 3


def test_probe_covers_less_than_a_hundred_and_fifty_tokens() -> None:
    """The pass is short: a forecast reads thousands of tokens."""
    lm, seen = tiny_language_model(), []
    lm.model.get_input_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0].numel()))
    check(lm.model)
    assert sum(seen) < 150
    assert probe_tokens(lm.model).numel()


def test_every_family_is_causal() -> None:
    for name in CONFIGS:
        assert check(family(name)).causal, name
