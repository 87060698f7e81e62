"""When does a retrieval ranking survive?  Angles, and the spherical triangle inequality (theorem H4)."""

from __future__ import annotations

import torch
from torch import Tensor


def angle(cosine_distance: Tensor) -> Tensor:
    """Angle in radians of two vectors with this 1 - cos, accurate from parallel to opposite; shape kept."""
    distance = cosine_distance.to(torch.float64).clamp(0, 2)
    return 2 * torch.atan2(torch.sqrt(distance), torch.sqrt(2 - distance))


def order_stable(query_angles: Tensor, query_move: Tensor, document_moves: Tensor) -> Tensor:
    """Which pairs of documents certainly keep their order when query and documents move (H4).

    Parameters
    ----------
    query_angles
        Dense angles of the query to the N documents, radians, ``(..., N)``.
    query_move
        Angle by which the query moves, ``(...)``.
    document_moves
        Angles by which the documents move, ``(..., N)``; zeros for a fixed index.

    Returns
    -------
    Tensor
        bool ``(..., N, N)``: entry (a, b) is true if a was nearer than b and certainly stays nearer.
    """
    if query_angles.shape != document_moves.shape or query_angles.shape[:-1] != query_move.shape:
        raise ValueError(
            "query_angles and document_moves must have one shape (..., N) and query_move (...), got "
            f"{tuple(query_angles.shape)}, {tuple(document_moves.shape)} and {tuple(query_move.shape)}"
        )
    if (query_move < 0).any() or (document_moves < 0).any():
        raise ValueError("query_move and document_moves must be >= 0")
    lead = query_angles[..., None, :] - query_angles[..., :, None]
    budget = 2 * query_move[..., None, None] + document_moves[..., None, :] + document_moves[..., :, None]
    return lead > budget


def top_stable(query_angles: Tensor, query_move: Tensor, document_moves: Tensor) -> Tensor:
    """For k = 1 .. N-1: whether the k nearest documents certainly stay the k nearest; bool ``(..., N-1)``."""
    stays = order_stable(query_angles, query_move, document_moves)
    order = query_angles.argsort(-1)
    size = query_angles.shape[-1]
    rows = stays.gather(-2, order[..., :, None].expand_as(stays))
    ranked = rows.gather(-1, order[..., None, :].expand_as(stays))
    return torch.stack([ranked[..., :k, k:].flatten(-2).all(-1) for k in range(1, size)], dim=-1)
