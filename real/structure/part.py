"""What can be dropped from a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PartKind = Literal["attn", "mlp", "block"]


@dataclass(frozen=True, order=True)
class Part:
    """What can be dropped: the attention, the MLP or the whole of one layer."""

    layer: int
    kind: PartKind

    def __str__(self) -> str:
        return f"{self.kind}:[{self.layer}]"
