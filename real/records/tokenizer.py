"""Which tokenizer made the ids of a text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def tokenizer_hash(pieces: Mapping[str, int]) -> str:
    """SHA-256 over (id, piece) in order of ids; fillers ``[PAD7]`` that pad a vocabulary do not count."""
    named = sorted((index, piece) for piece, index in pieces.items() if piece != f"[PAD{index}]")
    return hashlib.sha256(json.dumps(named, ensure_ascii=False).encode()).hexdigest()
