"""Under the harness, too, drafts change how long it takes and nothing else."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.tasks import task
from real.tasks.drafted import DraftedLM
from real.tasks.evaluate import answer, evaluate, task_manager
from real.tasks.harness_model import harness_model
from real.tasks.summary import DENSE
from real.text.drafted import write_from_drafts

TASK = task("copy-2")
CONTEXTS = [TASK.preamble[-60:] + item["question"] for item in TASK.items[:6]]


def _requests(**settings: Any) -> list[Instance]:
    given = {"until": ["\n", "a"], "max_gen_toks": 20, "do_sample": False} | settings
    return [Instance("generate_until", {}, (context, dict(given)), n) for n, context in enumerate(CONTEXTS)]


def _alone(model: DraftedLM, requests: list[Instance]) -> list[str]:
    """As the harness itself lets the model write, in batches of two."""
    own = type("Own", (type(model),), {"_model_generate": HFLM._model_generate})
    model.__class__ = own
    model.batch_size_per_gpu = 2
    return HFLM.generate_until(model, requests)


@pytest.mark.parametrize("spec", ["attn:0", "attn:[1]", "mlp:[0]", "int8"])
def test_answers_are_byte_for_byte_those_of_the_harness(tiny_lm: LanguageModel, spec: str) -> None:
    dense = dict(zip(CONTEXTS, _alone(harness_model(tiny_lm, 2), _requests()), strict=True))
    wrong = {context: text[:3] + "zz" + text[4:] for context, text in dense.items()}
    with variant(tiny_lm, spec) as other:
        truth = _alone(harness_model(other, 2), _requests())
        for drafts in (dense, wrong, {}, dict(list(dense.items())[:2]), dict.fromkeys(CONTEXTS, "")):
            assert harness_model(other, 2, drafts).generate_until(_requests()) == truth
    assert (truth == list(dense.values())) == (spec == "attn:0")


def test_options_read_together_have_the_harness_own_likelihoods(tiny_lm: LanguageModel) -> None:
    contexts = [*CONTEXTS[:3], "one", "two", ""]
    requests = [
        Instance("loglikelihood", {}, (context, option), n)
        for n, (context, option) in enumerate(product(contexts, (" a", " ab", " zebra")))
    ]
    model = harness_model(tiny_lm, 2)
    found = model.loglikelihood(requests)
    model.__class__ = type("Own", (type(model),), {"_loglikelihood_tokens": HFLM._loglikelihood_tokens})
    for (ours, greedy), (theirs, also) in zip(found, model.loglikelihood(requests), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert greedy == also


def test_what_drafts_cannot_serve_is_left_to_the_harness(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("drafts were used")

    monkeypatch.setattr("real.tasks.drafted.write_from_drafts", never)
    drawn = _requests(do_sample=True, temperature=1.0)
    assert len(harness_model(tiny_lm, 2).generate_until(drawn)) == len(CONTEXTS)
    with pytest.raises(AssertionError, match="drafts were used"):
        harness_model(tiny_lm, 2).generate_until(_requests())


def test_every_variant_is_verified_against_the_dense_texts(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[list[int]]] = []

    def seen(lm: LanguageModel, prompts: Any, drafts: Any, *rest: Any, **settings: Any) -> list[list[int]]:
        given.append(list(drafts))
        return write_from_drafts(lm, prompts, drafts, *rest, **settings)

    monkeypatch.setattr("real.tasks.drafted.write_from_drafts", seen)
    dense, pruned = evaluate(tiny_lm, ["attn:[1]"], ["copy-1"], limit=5, folder=tmp_path)
    assert [bool(draft) for draft in given[0]] == [False] * 5
    assert [bool(draft) for draft in given[1]] == [True] * 5
    monkeypatch.undo()
    with variant(tiny_lm, "attn:[1]") as other:
        alone = answer(other, "attn:[1]", ["copy-1"], task_manager(["copy-1"]), 5, 16, tmp_path / "alone")
    pd.testing.assert_frame_equal(pruned, alone)
    assert set(dense.spec) == {DENSE}
