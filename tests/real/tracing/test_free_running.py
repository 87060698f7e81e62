from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from real.models.load import LanguageModel
from real.pruning.variants import MismatchError, variant
from real.text.sample import sample
from real.tracing.free_running import common_prefix, free_running, free_runs
from tests.real.conftest import tiny_language_model


@pytest.mark.parametrize("greedy", [False, True])
def test_a_model_against_itself_is_exactly_zero(tiny_lm: LanguageModel, greedy: bool) -> None:
    run = free_running(tiny_lm, "attn:0", "hello", steps=12, seed=5, greedy=greedy)
    assert torch.equal(run.dense_tokens, run.pruned_tokens)
    assert run.first_divergence == len(run.dense_tokens)
    for drift in (run.logits, run.direct, run.history):
        for column in ("kl", "tv", "js", "cosdist_p", "cosdist_z", "oscillation"):
            assert torch.equal(getattr(drift, column), torch.zeros_like(drift.kl)), column
    assert torch.equal(run.hidden.cosdist, torch.zeros_like(run.hidden.cosdist))


@pytest.mark.parametrize("seed", range(4))
def test_history_error_begins_after_the_first_divergence(tiny_lm: LanguageModel, seed: int) -> None:
    run = free_running(tiny_lm, "mlp:1", "hello", steps=12, seed=seed)
    n, first = run.logits.kl.shape[0], run.first_divergence
    assert n == min(len(run.dense_tokens), len(run.pruned_tokens))
    # Step `first` still has a common history; only later ones have not.
    assert torch.equal(run.history.kl[: first + 1], torch.zeros_like(run.history.kl[: first + 1]))
    torch.testing.assert_close(run.logits.kl[: first + 1], run.direct.kl[: first + 1], rtol=0, atol=0)
    if first + 1 < n:
        assert bool((run.history.kl[first + 1 :] > 0).all())
    assert bool((run.direct.kl > 0).all())


def test_equal_seeds_couple_the_samples_better_than_unequal_ones(tiny_lm: LanguageModel) -> None:
    prompts = [f"prompt number {index}" for index in range(60)]
    dense = sample(tiny_lm, prompts, 1, seed=1)
    with variant(tiny_lm, "attn:1") as other:
        same, apart = sample(other, prompts, 1, seed=1), sample(other, prompts, 1, seed=2)

    def agreement(one, two) -> float:
        return float((one.tokens == two.tokens).all(1).double().mean())

    assert agreement(dense, same) > agreement(dense, apart)


def test_another_checkpoint_is_a_variant_when_it_speaks_the_same_tokens(
    tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    for name, other in (("same", tiny_language_model(seed=1)), ("wide", tiny_language_model(vocab_size=300))):
        other.model.save_pretrained(tmp_path / name)
        other.tokenizer.save_pretrained(tmp_path / name)
    run = free_running(tiny_lm, str(tmp_path / "same"), "hello", steps=3)
    assert float(run.logits.kl[0]) > 0
    with pytest.raises(MismatchError, match=r"different vocabularies \(258 and 300"):
        free_running(tiny_lm, str(tmp_path / "wide"), "hello", steps=3)

    written = tmp_path / "same" / "tokenizer.json"
    layout = json.loads(written.read_text())
    one, two = list(layout["model"]["vocab"])[:2]
    words = layout["model"]["vocab"]
    words[one], words[two] = words[two], words[one]
    written.write_text(json.dumps(layout))
    with pytest.raises(MismatchError, match="different tokenizers"):
        free_running(tiny_lm, str(tmp_path / "same"), "hello", steps=3)


def test_common_prefix() -> None:
    assert common_prefix(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4, 5])) == 2
    assert common_prefix(torch.tensor([1]), torch.tensor([1])) == 1
    assert common_prefix(torch.tensor([], dtype=torch.long), torch.tensor([1])) == 0


def test_all_prompts_share_one_pruning(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []

    def counted(lm: LanguageModel, spec: str, calibration: object) -> object:
        entered.append(spec)
        return variant(lm, spec)

    monkeypatch.setattr("real.tracing.free_running.variant", counted)
    runs = list(free_runs(tiny_lm, "attn:1", ["hello", "some words", "three"], steps=3))
    assert len(runs) == 3
    assert entered == ["attn:1"]
