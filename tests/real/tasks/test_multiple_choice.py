from __future__ import annotations

import pytest
import torch

from real.models.load import LanguageModel
from real.tasks import task
from real.tasks.certified import certified_decisions
from real.tasks.embed import cosine_scores, embed, ndcg_at_10, partner_ranks
from real.tasks.multiple_choice import decisions, option_items


def test_option_items_split_at_the_first_differing_token(tiny_lm: LanguageModel) -> None:
    items = option_items(tiny_lm, ["capitals-choice"])
    assert items
    whole = {
        tiny_lm.tokenizer.decode(item.context) + tiny_lm.tokenizer.decode([option])
        for item in items
        for option in item.options
    }
    entries = task("capitals-choice").items
    texts = [f"{entry['question']} {option}" for entry in entries for option in entry["options"]]
    assert all(any(text.startswith(start) for text in texts) for start in whole)
    for item in items:
        assert len(set(item.options)) == len(item.options)


def test_probes_and_items_differ(tiny_lm: LanguageModel) -> None:
    contexts = [{item.context for item in option_items(tiny_lm, probes=probes)} for probes in (False, True)]
    assert not contexts[0] & contexts[1]


def test_decisions_are_the_argmax_over_options(tiny_lm: LanguageModel) -> None:
    items = option_items(tiny_lm, ["wikidata-choice"])[:20]
    with torch.inference_mode():
        logits = [tiny_lm.model(torch.tensor([item.context])).logits[0, -1] for item in items]
    expected = [
        int(torch.stack([row[o] for o in i.options]).argmax()) for row, i in zip(logits, items, strict=True)
    ]
    assert decisions(tiny_lm, items).tolist() == expected


@pytest.mark.parametrize("spec", ["attn:0", "attn:1", "mlp:1"])
def test_every_certified_decision_is_unchanged(tiny_lm: LanguageModel, spec: str) -> None:
    found = certified_decisions(tiny_lm, spec, ["wikidata-choice", "capitals-choice"], limit=8)
    assert bool(found[found.certified].unchanged.all())
    if spec == "attn:0":
        assert bool(found.certified[found.margin > 0].all())
        assert bool((found[["kl", "tv", "kl_options", "oscillation"]] == 0).all(axis=None))
    else:
        assert bool((found.oscillation_options <= found.oscillation).all())


def test_embedding_ignores_batch_and_padding(tiny_lm: LanguageModel) -> None:
    texts = ["a", "some longer text", "mid size", "the longest text of all of these four"]
    together, apart = embed(tiny_lm, texts), embed(tiny_lm, texts, batch_size=1)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_ranks_and_gain() -> None:
    identity = torch.eye(4)
    assert partner_ranks(cosine_scores(identity, identity)).tolist() == [1, 1, 1, 1]
    assert partner_ranks(torch.tensor([[0.5, 0.9], [0.5, 0.5]])).tolist() == [2, 2]
    torch.testing.assert_close(
        ndcg_at_10(torch.tensor([1, 3, 10, 11])),
        torch.tensor([1.0, 0.5, 1 / torch.log2(torch.tensor(11.0)).item(), 0.0], dtype=torch.float64),
    )
