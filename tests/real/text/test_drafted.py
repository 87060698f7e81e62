"""Whatever the draft says, the text is what the model itself writes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.text.drafted import sample_from_drafts, write_from_drafts
from real.text.sample import Samples, row_generators, sample
from tests.real.conftest import tiny_language_model
from tests.real.families import CONFIGS, language_model

LM = tiny_language_model()
PROMPTS = [[256, 5, 6, 7, 8], [256, 5, 6, 9], [256, 5, 6, 9, 30, 31, 32, 33], [256, 5, 6, 7, 8, 9]]
TOKENS = 24
WRITTEN = {
    (seed, temperature): sample(LM, PROMPTS, TOKENS, temperature=temperature, seed=seed)
    for seed, temperature in ((0, 0.0), (1, 1.0), (2, 0.5))
}


def _texts(samples: Samples) -> list[list[int]]:
    return [samples.continuation(row).tolist() for row in range(len(samples))]


@st.composite
def drafts(draw: st.DrawFn, truth: list[list[int]]) -> list[list[int]]:
    """The truth with pieces replaced, left out, doubled or put in; or anything."""
    found = []
    for text in truth:
        text = list(text)
        for _ in range(draw(st.integers(0, 3))):
            at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 4))
            text[at : at + length] = draw(st.lists(st.integers(0, 257), max_size=4))
        found.append(draw(st.sampled_from([text, text * 2, [], text[:1]])))
    return found


@given(st.data(), st.sampled_from(sorted(WRITTEN)), st.integers(1, 4))
@settings(max_examples=40)
def test_every_draft_ends_in_the_same_text(
    data: st.DataObject, case: tuple[int, float], batch_size: int
) -> None:
    seed, temperature = case
    truth = _texts(WRITTEN[case])
    written = write_from_drafts(
        LM,
        PROMPTS,
        data.draw(drafts(truth)),
        TOKENS,
        temperature=temperature,
        generators=row_generators(seed, range(len(PROMPTS))),
        batch_size=batch_size,
    )
    assert written == truth


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("spec", ["attn:[1]", "int8", "mlp:[0]", "block:[1]", "attn:[0]"])
def test_a_pruned_model_writes_what_it_would(spec: str, temperature: float) -> None:
    dense = sample(LM, PROMPTS, TOKENS, samples=2, temperature=temperature, seed=3)
    with variant(LM, spec) as other:
        alone = sample(other, PROMPTS, TOKENS, samples=2, temperature=temperature, seed=3)
        drafted = sample_from_drafts(other, dense, TOKENS)
    assert _texts(drafted) == _texts(alone)
    assert torch.equal(drafted.tokens, alone.tokens)
    assert torch.equal(drafted.prompt, alone.prompt)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_family_writes_the_argmax_of_plain_passes(name: str) -> None:
    """With caches that slide, hold states, or serve one text only; drafts right, wrong and missing."""
    lm, tokens = language_model(name), 12
    prompts = [[256, 5, 6, 7, 8], [256, 5, 6, 9], [256, 5, 6, 9, 30, 31]]
    truth = [_argmax_text(lm, prompt, tokens) for prompt in prompts]
    wrong = [[*text[:4], 1, *text[5:]] for text in truth]
    for drafts in (truth, wrong, [truth[0], [], wrong[2]]):
        assert write_from_drafts(lm, prompts, drafts, tokens) == truth


def _argmax_text(lm: LanguageModel, prompt: list[int], tokens: int) -> list[int]:
    text = list(prompt)
    while len(text) < len(prompt) + tokens and text[-1] != 257:
        with torch.inference_mode():
            text.append(int(lm.model(torch.tensor([text])).logits[0, -1].argmax()))
    return text[len(prompt) :]


def test_sampled_text_has_the_law_of_the_pruned_model() -> None:
    """The first two tokens, drawn from drafts of the dense model, against the enumerated law."""
    prompt, draws, heat = [256, 5, 6, 7], 2000, 0.7
    dense = sample(LM, [prompt], 2, samples=draws, temperature=heat, seed=11, batch_size=500)
    with variant(LM, "attn:[1]") as other, torch.inference_mode():
        drawn = _texts(sample_from_drafts(other, dense, 2, batch_size=500))
        first = (other.model(torch.tensor([prompt])).logits[0, -1] / heat).softmax(-1)
        after = torch.tensor([[*prompt, token] for token in range(258)])
        second = (other.model(after).logits[:, -1] / heat).softmax(-1)
    law = {(257,): float(first[257])} | {
        (one, two): float(first[one] * second[one, two]) for one in range(257) for two in range(258)
    }
    likely = [text for text, mass in law.items() if draws * mass >= 5]
    counts = [drawn.count(list(text)) for text in likely]
    expected = [draws * law[text] for text in likely]
    rest = draws - sum(expected)
    assert len(likely) > 20
    result = chisquare([*counts, draws - sum(counts)], [*expected, rest])
    assert result.pvalue > 1e-3
    moved = sum(text != draft for text, draft in zip(drawn, _texts(dense), strict=True))
    assert moved > draws / 20  # the drafts alone have another law


def test_texts_end_where_they_are_told_to() -> None:
    truth = _texts(WRITTEN[0, 0.0])
    stop = {text[5] for text in truth}
    cut = [text[: next(n for n, token in enumerate(text) if token in stop) + 1] for text in truth]
    for drafts in (truth, [[]] * 4, [[*text[:3], 1, *text[4:]] for text in truth]):
        written = write_from_drafts(LM, PROMPTS, drafts, TOKENS, ended=lambda text: text[-1] in stop)
        assert written == cut


def test_a_good_draft_is_read_in_one_pass_and_again_where_text_meets_it() -> None:
    truth = _texts(WRITTEN[0, 0.0])
    passes: list[int] = []
    hook = LM.model.model.layers[0].register_forward_pre_hook(
        lambda _, given: passes.append(given[0].shape[1])
    )
    try:
        write_from_drafts(LM, PROMPTS, truth, TOKENS)
        assert len(passes) == 2  # what all share, all drafts
        passes.clear()
        write_from_drafts(LM, PROMPTS[:1], [[1, *truth[0]]], TOKENS)
        assert len(passes) == 2 + 2 + 1  # two more tokens meet the draft
        passes.clear()
        write_from_drafts(LM, PROMPTS[:1], [[]], TOKENS)
        assert len(passes) == 1 + len(truth[0])
    finally:
        hook.remove()


def tokens_read(prompts: list[list[int]], drafts: list[list[int]]) -> tuple[list[list[int]], int]:
    """What is written, and the tokens that go through the model, padding included."""
    read: list[int] = []
    hook = LM.model.model.layers[0].register_forward_pre_hook(
        lambda _, given: read.append(given[0].shape[0] * given[0].shape[1])
    )
    try:
        return write_from_drafts(LM, prompts, drafts, TOKENS), sum(read)
    finally:
        hook.remove()


def test_drafts_that_are_always_wrong_cost_a_few_scouts() -> None:
    prompts = [[256, 5, 6, 7, *range(8 + n % 5, 20 + n)] for n in range(32)]
    alone, plain = tokens_read(prompts, [[]] * 32)
    wrong, most = tokens_read(prompts, [[(token + 1) % 256 for token in text] for text in alone])
    partly, _ = tokens_read(prompts, [text if n % 2 else [1] * TOKENS for n, text in enumerate(alone)])
    right, least = tokens_read(prompts, alone)
    assert wrong == partly == right == alone
    assert most < 1.2 * plain
    assert least < 1.1 * plain


def test_bad_requests_are_one_sentence() -> None:
    with pytest.raises(ValueError, match="as many as the 4 prompts"):
        write_from_drafts(LM, PROMPTS, [[]], TOKENS)
    with pytest.raises(ValueError, match="as many as the 4 prompts"):
        write_from_drafts(LM, PROMPTS, [[]] * 4, TOKENS, temperature=1.0)
    with pytest.raises(ValueError, match="no prompt empty"):
        write_from_drafts(LM, [[]], [[]], TOKENS)
