from __future__ import annotations

import pytest
import torch

from real.forecast.coupled import identical_prefix
from real.forecast.stepwise import dense_pass, generated_hidden, greedy_prefix, score_variant
from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.text.passes import final_hidden, head_logits, hidden_after, read
from real.text.sample import Samples, sample
from real.tracing.free_running import common_prefix
from tests.real.families import CONFIGS, language_model, some_tokens
from theory import gumbel_flip
from theory.sequences.survival import survival_weights

LONG = "the same beginning of every prompt, then "
PROMPTS = {
    "nothing shared": ["a", "some words", "one two three four"],
    "a shared beginning": [f"{LONG}{end}" for end in ("a", "some words", "one two three")],
}


def whole_texts(lm: LanguageModel, samples: Samples) -> torch.Tensor:
    rows = []
    for row in range(len(samples)):
        start, end = int(samples.prompt_lengths[row]), int(samples.lengths[row])
        rows.append(final_hidden(lm, samples.tokens[row : row + 1, :end])[0, start - 1 : end - 1])
    return torch.cat(rows)


@pytest.mark.parametrize("copies", [1, 2, 9])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_shared_beginnings_change_no_hidden_state(
    tiny_lm: LanguageModel, prompts: list[str], copies: int
) -> None:
    drawn = sample(tiny_lm, prompts, 7, copies, seed=3)
    hidden, row, step = generated_hidden(tiny_lm, drawn)
    torch.testing.assert_close(hidden, whole_texts(tiny_lm, drawn), rtol=1e-4, atol=1e-4)
    assert row.bincount().tolist() == (drawn.lengths - drawn.prompt_lengths).tolist()
    assert int(step.max()) == drawn.horizon - 1


def test_shared_beginnings_are_read_once(tiny_lm: LanguageModel) -> None:
    drawn = sample(tiny_lm, PROMPTS["a shared beginning"], 4, seed=3)
    read: list[int] = []
    hook = tiny_lm.model.model.embed_tokens.register_forward_pre_hook(
        lambda module, args: read.append(args[0].numel())
    )
    try:
        generated_hidden(tiny_lm, drawn)
    finally:
        hook.remove()
    assert sum(read) < drawn.tokens.numel() - len(LONG)


def test_shared_noise_weight_is_one_less_the_flip_probability(tiny_lm: LanguageModel) -> None:
    """Mean over the tokens that the dense model may draw, each with its probability (G11)."""
    first = sample(tiny_lm, ["hello"], 1, seed=0)
    end = int(first.prompt_lengths[0])
    every = Samples(
        torch.cat([first.tokens[:, :end].expand(258, -1), torch.arange(258).unsqueeze(1)], dim=1),
        torch.full((258,), end),
        torch.full((258,), end + 1),
        torch.zeros(258, dtype=torch.long),
        temperature=0.8,
        seed=0,
    )
    dense = dense_pass(tiny_lm, every)
    before = head_logits(tiny_lm, dense.hidden[:1])
    with variant(tiny_lm, "attn:1") as other:
        scores = score_variant(tiny_lm, dense, other)
        after = head_logits(other, generated_hidden(other, every)[0][:1])
    agreement = (dense.log_prob.double().exp() * scores.shared[:, 0].exp()).sum()
    flip = gumbel_flip(before, after, 0.8)[0]
    assert 0.01 < float(flip) < 0.99
    assert float(agreement) == pytest.approx(1 - float(flip), abs=1e-5)
    assert float(agreement) <= 1 - float(scores.tv[0, 0]) + 1e-5  # no coupling agrees more often


@pytest.mark.parametrize("spec", ["attn:1", "mlp:2"])
def test_coupled_text_departs_where_two_samples_with_one_noise_do(tiny_lm: LanguageModel, spec: str) -> None:
    prompts = ["a", "some words", "one two three four"]
    for temperature, coupling in ((1.0, "shared noise"), (0.0, "greedy")):
        dense = dense_pass(tiny_lm, sample(tiny_lm, prompts, 8, 4, temperature, seed=5))
        with variant(tiny_lm, spec) as other:
            own = sample(other, prompts, 8, 4, temperature, seed=5)
            found = identical_prefix(other, dense, coupling, batch_size=5)
        rows = range(len(own))
        expected = [common_prefix(dense.samples.continuation(i), own.continuation(i)) for i in rows]
        assert found.tolist() == expected
        assert len(set(expected)) > 1


def test_maximal_coupling_accepts_as_often_as_forecast(tiny_lm: LanguageModel) -> None:
    dense = dense_pass(tiny_lm, sample(tiny_lm, ["ab", "cd"], 3, 500, seed=1))
    with variant(tiny_lm, "attn:1") as other:
        forecast = survival_weights(score_variant(tiny_lm, dense, other).log_ratio)
        found = identical_prefix(other, dense, "maximal", seed=9, batch_size=500)
    for n in (1, 2, 3):
        ended = (dense.samples.lengths - dense.samples.prompt_lengths).clamp(max=n)
        measured = float((found >= ended).double().mean())
        assert abs(measured - float(forecast[:, n - 1].mean())) < 0.07  # 4 standard errors


def test_certified_greedy_tokens_are_identical(tiny_lm: LanguageModel) -> None:
    dense = dense_pass(tiny_lm, sample(tiny_lm, [f"prompt {i}" for i in range(12)], 6, temperature=0))
    with variant(tiny_lm, "int8") as other:
        found = greedy_prefix(tiny_lm, dense, other)
        written = identical_prefix(other, dense, "greedy")
    assert torch.equal(found.identical, written)
    assert bool((found.certified <= found.identical).all())
    assert bool((found.certified > 0).any())
    same = greedy_prefix(tiny_lm, dense, tiny_lm)
    assert torch.equal(same.identical, same.length)


def test_couplings_fit_the_text(tiny_lm: LanguageModel) -> None:
    drawn, greedy = (dense_pass(tiny_lm, sample(tiny_lm, ["a"], 2, 1, heat)) for heat in (1.0, 0.0))
    with pytest.raises(ValueError, match=r"coupling 'greedy' does not fit text at temperature 1\.0"):
        identical_prefix(tiny_lm, drawn, "greedy")
    with pytest.raises(ValueError, match="does not fit text at temperature 0"):
        identical_prefix(tiny_lm, greedy, "maximal")
    with pytest.raises(ValueError, match="dense must be greedy text"):
        greedy_prefix(tiny_lm, drawn, tiny_lm)


def test_a_model_without_a_cache_to_share_reads_every_text_whole() -> None:
    lm = language_model("mamba")
    tokens = torch.cat([some_tokens(1, 1, 9).expand(2, -1), some_tokens(2, 2, 4)], dim=1)
    ends = torch.tensor([10, 10]), torch.tensor([13, 13])
    samples = Samples(tokens, *ends, torch.arange(2), temperature=1.0, seed=0)
    hidden, _, _ = generated_hidden(lm, samples)
    torch.testing.assert_close(hidden, whole_texts(lm, samples), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, (_, residual) in CONFIGS.items() if residual is not None])
def test_a_beginning_read_once_serves_every_architecture(name: str) -> None:
    """Also with attention windows (of 8 tokens here) shorter than the beginning."""
    lm = language_model(name)
    beginning = some_tokens(1, 1, 12)[0]
    rows = torch.cat([beginning.expand(3, -1), some_tokens(2, 3, 5)], dim=1)
    memory = read(lm, beginning[None])
    for _ in range(2):  # the memory is not used up
        hidden = hidden_after(lm, memory, rows[:, 12:])
        torch.testing.assert_close(hidden, final_hidden(lm, rows)[:, 12:], rtol=1e-4, atol=1e-4)
    several = read(lm, rows[:, :14], memory)
    for text in ([2, 0, 0, 1], [0]):
        hidden = hidden_after(lm, several, rows[text, 14:], torch.tensor(text))
        torch.testing.assert_close(hidden, final_hidden(lm, rows)[text, 14:], rtol=1e-4, atol=1e-4)
