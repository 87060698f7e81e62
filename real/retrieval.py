"""Retrieval with ground truth: find the second half of a passage by its first, among all second halves."""

from __future__ import annotations

from typing import Any

import ir_measures
from ir_measures import Qrel, R, ScoredDoc, nDCG

from real.embed import cosine_scores, embed
from real.load import LanguageModel
from real.texts import passages

RETRIEVAL = "retrieval"
GAIN, FOUND = nDCG @ 10, R @ 1


def retrieval_rows(lm: LanguageModel, limit: int | None = None) -> list[dict[str, Any]]:
    """One row per query: task, item, prediction (the first document), correct (nDCG@10), recall_at_1.

    ``lm`` is an encoder or a causal language model; see :mod:`real.embed` for the pooling rule.
    """
    halves = [_halves(text) for text in passages("retrieval")[:limit]]
    scores = cosine_scores(embed(lm, [one for one, _ in halves]), embed(lm, [two for _, two in halves]))
    relevant = [Qrel(str(query), str(query), 1) for query in range(len(halves))]
    run = [
        ScoredDoc(str(query), str(document), float(score))
        for query, row in enumerate(scores)
        for document, score in enumerate(row)
    ]
    measured: dict[tuple[str, str], float] = {
        (one.query_id, str(one.measure)): one.value
        for one in ir_measures.iter_calc([GAIN, FOUND], relevant, run)
    }
    return [
        {
            "task": RETRIEVAL,
            "item": query,
            "prediction": str(int(row.argmax())),
            "correct": measured[str(query), str(GAIN)],
            "recall_at_1": measured[str(query), str(FOUND)],
        }
        for query, row in enumerate(scores)
    ]


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
