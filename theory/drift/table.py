"""Named tensors over the same leading axes: what a measurement returns and everything else reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

Self = TypeVar("Self", bound="TensorTable")


@dataclasses.dataclass(frozen=True)
class TensorTable:
    """A frozen dataclass of tensors that all have the same shape, the leading axes of what was measured.

    ``table[index]``, :meth:`cat`, :meth:`reshape` and :meth:`to` act on every column at once.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which they are documented."""
        return tuple(field.name for field in dataclasses.fields(self))

    @property
    def shape(self) -> torch.Size:
        """The leading shape shared by all columns."""
        first: Tensor = getattr(self, self.columns[0])
        return first.shape

    def _each(self: Self, act: Any) -> Self:
        return type(self)(**{name: act(getattr(self, name)) for name in self.columns})

    def __getitem__(self: Self, index: Any) -> Self:
        """Index every column as ``tensor[index]`` would."""
        return self._each(lambda column: column[index])

    def reshape(self: Self, *shape: int) -> Self:
        """Reshape every column."""
        return self._each(lambda column: column.reshape(shape))

    def to(self: Self, device: str | torch.device) -> Self:
        """Move every column to ``device``."""
        return self._each(lambda column: column.to(device))

    @classmethod
    def cat(cls: type[Self], tables: Sequence[Self], dim: int = 0) -> Self:
        """Concatenate tables along a leading axis.

        Raises
        ------
        ValueError
            If ``tables`` is empty.
        """
        if not tables:
            raise ValueError(f"tables is empty; {cls.__name__}.cat needs at least one table")
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: torch.cat([getattr(table, name) for table in tables], dim) for name in names})

    def frame(self) -> pd.DataFrame:
        """One row per leading element; its place along the leading axes is in columns ``i0``, ``i1``..."""
        positions = np.indices(tuple(self.shape)).reshape(len(self.shape), self.shape.numel())
        index = {f"i{axis}": place for axis, place in enumerate(positions)}
        return pd.DataFrame(
            index | {n: getattr(self, n).detach().cpu().numpy().ravel() for n in self.columns}
        )
