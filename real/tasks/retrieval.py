"""Retrieval with ground truth: find the second half of a passage by its first, among all second halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ir_measures
from ir_measures import Qrel, R, ScoredDoc, nDCG
from torch import Tensor

from real.models.load import LanguageModel
from real.tasks.embed import cosine_scores, embed, ndcg_at_10, partner_ranks
from real.text.texts import passages
from theory import measure_vectors
from theory.effects.retrieval import angle, top_stable

RETRIEVAL = "retrieval"
GAIN, FOUND = nDCG @ 10, R @ 1
HALF_WORDS = 20  # of a probe's query and document
_PROBES = 32
_ROUNDING = 1e-7  # radians, added to every move


@dataclass(frozen=True)
class RetrievalProbe:
    """A small retrieval that no evaluation uses. queries, documents: centred ``(n, d)``. ndcg: ``(n,)``."""

    queries: Tensor
    documents: Tensor
    ndcg: Tensor


def retrieval_probe(lm: LanguageModel) -> RetrievalProbe:
    """Find the next words of a passage by those before: n queries, n documents, query i wants document i."""
    words = [text.split() for text in passages("prompts")[-_PROBES:]]
    queries = embed(lm, [" ".join(text[:HALF_WORDS]) for text in words])
    documents = embed(lm, [" ".join(text[HALF_WORDS : 2 * HALF_WORDS]) for text in words])
    centre = documents.mean(0)
    gain = ndcg_at_10(partner_ranks(cosine_scores(queries, documents)))
    return RetrievalProbe((queries - centre).double(), (documents - centre).double(), gain)


def first_certain(dense: RetrievalProbe, other: RetrievalProbe) -> Tensor:
    """Whether a query's nearest document is certain to stay nearest, by angles alone (H4); bool ``(n,)``."""
    queries = dense.queries.unsqueeze(1).expand(-1, len(dense.documents), -1)
    angles = angle(measure_vectors(queries, dense.documents.expand_as(queries)).cosdist)
    query_moves = angle(measure_vectors(dense.queries, other.queries).cosdist) + _ROUNDING
    moves = angle(measure_vectors(dense.documents, other.documents).cosdist) + _ROUNDING
    return top_stable(angles, query_moves, moves.expand_as(angles))[:, 0]


def retrieval_rows(lm: LanguageModel, limit: int | None = None) -> list[dict[str, Any]]:
    """One row per query: task, item, metric, prediction (the first document), correct (nDCG@10), recall_at_1.

    ``lm`` is an encoder or a causal language model; see :mod:`real.tasks.embed` for the pooling rule.
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
            "metric": "ndcg@10",
            "prediction": str(int(row.argmax())),
            "correct": measured[str(query), str(GAIN)],
            "recall_at_1": measured[str(query), str(FOUND)],
        }
        for query, row in enumerate(scores)
    ]


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
