"""Task scores of dense and pruned models that several figures share; each model is evaluated once."""

from __future__ import annotations

import hashlib

import pandas as pd

from paper_figs.context import Context
from paper_figs.measured import pruned, texts
from real.models.load import LanguageModel
from real.pruning.variants import variant
from real.tasks.drafted import Drafts
from real.tasks.embed import cosine_scores, embed, ndcg_at_10, partner_ranks
from real.tasks.evaluate import answer, task_manager
from real.tasks.summary import DENSE, summarise
from real.text.texts import passages
from theory.fingerprint import fingerprint

CHOICE = ("capitals-choice", "units")
GENERATION = ("capitals-answer", "copy-4")
WORDS = {
    "capitals-choice": "capital of a country, 4 options",
    "units": "unit of a quantity, 3 options",
    "capitals-answer": "capital of a country, written",
    "copy-4": "copy a list of 4 words",
}
HALF_WORDS = 30
BATCH = 16  # questions at once


def items(context: Context, spec: str) -> pd.DataFrame:
    """Every answer of one model to the four tasks, item by item; more items where answers are chosen."""
    profile, calibration = context.setup.profile, texts.calibration(context)
    digest = hashlib.sha256(repr((fingerprint(__name__), context.setup)).encode()).hexdigest()[:16]
    folder = context.folder.parent / "answers" / digest  # answers depend on the code that prunes, too
    drafts: Drafts = {}
    if spec != DENSE:  # kept, so this reads the dense texts
        given = (GENERATION, task_manager(GENERATION), profile.items, BATCH, folder, calibration)
        answer(context.lm, DENSE, *given, drafts)
    with variant(context.lm, pruned.resolve(context, spec), calibration) as model:
        tables = [
            answer(model, spec, names, task_manager(names), limit, BATCH, folder, calibration, drafts)
            for names, limit in ((CHOICE, profile.choice_items), (GENERATION, profile.items))
        ]
    return pd.concat(tables, ignore_index=True)


def summary(context: Context, specs: list[str]) -> pd.DataFrame:
    """Score, Wilson interval and change against the dense model for each spec and task."""
    chosen = [DENSE, *(spec for spec in specs if spec != DENSE)]
    tables = [context.recall(items, spec=spec) for spec in context.track(chosen, "tasks")]
    return summarise(pd.concat(tables, ignore_index=True), seed=context.setup.seed)


def retrieval(context: Context, specs: list[str]) -> pd.DataFrame:
    """nDCG@10 of the encoder and its pruned versions, one row for each spec and query.

    The first words of a passage must find its last words among all passages. Sublayers are ranked on the
    calibration texts.
    """
    encoder = context.encoder
    texts = [text.split() for text in passages("retrieval")]
    texts = [words for words in texts if len(words) >= 2 * HALF_WORDS][: 4 * context.setup.profile.items]
    queries, documents = ([" ".join(part) for part in half] for half in _halves(texts))
    rows = []
    for spec in context.track(specs, "retrieval"):
        with variant(encoder, spec, list(passages("calibration"))[:40]) as other:
            rows.append(pd.DataFrame({"spec": spec, "ndcg": _ndcg(other, queries, documents)}))
    return pd.concat(rows, ignore_index=True)


def _halves(texts: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    return [words[:HALF_WORDS] for words in texts], [words[-HALF_WORDS:] for words in texts]


def _ndcg(lm: LanguageModel, queries: list[str], documents: list[str]) -> list[float]:
    scores = cosine_scores(embed(lm, queries), embed(lm, documents))
    return ndcg_at_10(partner_ranks(scores)).tolist()
