"""One vector per text, from an encoder or from a causal language model, and rankings by cosine.

The pooling rule is fixed: the mean over a text's tokens, special tokens left out, of the last hidden state
(after the final norm); then the mean of the document vectors is taken away from every vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from more_itertools import chunked
from torch import Tensor
from torch.nn.functional import normalize

from real.models.load import LanguageModel
from real.structure.probe import no_cache


def embed(lm: LanguageModel, texts: Sequence[str], max_tokens: int = 128, batch_size: int = 32) -> Tensor:
    """Mean-pooled vectors ``(len(texts), d)``, float32, not yet centred."""
    head = lm.anatomy.head
    backbone = lm.model if head is None else head.backbone
    length = min(max_tokens, lm.context_length)
    ids = [lm.tokenizer(text, truncation=True, max_length=length).input_ids for text in texts]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    pooled: dict[int, Tensor] = {}
    for batch in chunked(order, batch_size):
        vectors = _pool(lm, backbone, [ids[index] for index in batch])
        pooled.update(zip(batch, vectors, strict=True))
    return torch.stack([pooled[index] for index in range(len(ids))])


def _pool(lm: LanguageModel, backbone: torch.nn.Module, batch: list[list[int]]) -> Tensor:
    width = max(map(len, batch))
    tokens, mask = torch.zeros(len(batch), width, dtype=torch.long), torch.zeros(len(batch), width)
    special = set(lm.tokenizer.all_special_ids)
    counted = torch.zeros(len(batch), width)
    for row, ids in enumerate(batch):
        tokens[row, : len(ids)], mask[row, : len(ids)] = torch.tensor(ids), 1
        counted[row, : len(ids)] = torch.tensor([float(token not in special) for token in ids])
    device = lm.device
    with torch.inference_mode():
        output = backbone(
            input_ids=tokens.to(device), attention_mask=mask.long().to(device), **no_cache(backbone)
        )
    weights = counted.to(device).unsqueeze(-1)
    pooled: Tensor = ((output.last_hidden_state.float() * weights).sum(1) / weights.sum(1).clamp(min=1)).cpu()
    return pooled


def cosine_scores(queries: Tensor, documents: Tensor) -> Tensor:
    """Cosines ``(queries, documents)`` after taking away the documents' mean."""
    centre = documents.mean(0)
    return normalize(queries - centre, dim=-1) @ normalize(documents - centre, dim=-1).T


def partner_ranks(scores: Tensor) -> Tensor:
    """Rank of document i for query i, int64 ``(n,)``, from scores ``(n, n)``; 1 is best, ties count last."""
    return (scores >= scores.diagonal().unsqueeze(1)).sum(1)


def ndcg_at_10(ranks: Tensor) -> Tensor:
    """nDCG@10 of queries with one relevant document at the given ranks: 1/log2(1 + rank), 0 beyond 10."""
    return torch.where(ranks <= 10, 1 / torch.log2(1 + ranks.double()), 0.0)
