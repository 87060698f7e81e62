"""Walk through a model layer by layer with the activations of a calibration set, one layer's worth in memory.

Each layer sees what the already pruned layers before it give (sequential calibration, as in SparseGPT and
Wanda). Statistics are kept once per distinct input: query, key and value share theirs, so do gate and up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from real.structure.anatomy import Anatomy, Layer
from real.structure.matrices import Matrix, watch_products
from real.structure.probe import FAILURES, first_tensor, hooks
from real.structure.stream import last_residual, trunk, trunk_up_to

BATCH_TOKENS = 2048
CHECK_TOKENS = 32
# Allowance, in units of rounding of the largest value, between a walk and a pass.
ROUNDING = 64


class Statistic(Protocol):
    """Anything that takes in activations ``(..., inputs)`` batch by batch."""

    def add(self, inputs: Tensor) -> None: ...


S = TypeVar("S", bound=Statistic)


class InputStatistics(Generic[S]):
    """One statistic per distinct input of the matrices of a layer.

    Two matrices share an input when the first batch that shows both multiplies them with the same memory.
    """

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._of: dict[Matrix, S] = {}
        self._leads: set[Matrix] = set()
        self._live: list[tuple[Tensor, S]] = []

    def see(self, matrix: Matrix, inputs: Tensor) -> None:
        """Take in one product's activations, unless a matrix with the same input already did."""
        if matrix not in self._of:
            shared = [statistic for other, statistic in self._live if _same_memory(other, inputs)]
            self._of[matrix] = shared[0] if shared else self._make()
            if not shared:
                self._leads.add(matrix)
        if matrix in self._leads:
            self._of[matrix].add(inputs)
            # Held until the batch ends, so that its memory is not handed to another input meanwhile.
            self._live.append((inputs, self._of[matrix]))

    def end_batch(self) -> None:
        """Let go of the batch's activations."""
        self._live.clear()

    def get(self, matrix: Matrix) -> S | None:
        """The matrix's statistic; None if no token reached it (an expert that was never chosen)."""
        return self._of.get(matrix)

    def __len__(self) -> int:
        return len(self._leads)


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.numel() == other.numel()


class _Enough(Exception):
    """Raised to stop a forward pass where no more of it is needed."""


class Walk:
    """Calibration activations on their way through the layers.

    Each layer is called as the model calls it on the first batch, with the activations in the stream's place.
    Where that is not what the model computes (layers that are given something of the tokens or of each other
    besides the stream), which a few tokens show, the model runs afresh from the bottom for every layer.
    """

    def __init__(self, anatomy: Anatomy, tokens: Tensor) -> None:
        self.anatomy = anatomy
        device = anatomy.model.get_input_embeddings().weight.device  # type: ignore[operator]
        self.batches = [batch.to(device) for batch in torch.split(tokens, _batch_rows(*tokens.shape))]
        self._calls: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.alone = self._stands_alone(self.batches[0][:1, :CHECK_TOKENS])
        self._activations: list[Tensor] = []
        if self.alone:
            self._capture_calls(self.batches[0])
            self._activations = [self._embed(batch) for batch in self.batches]

    @torch.no_grad()
    def _stands_alone(self, tokens: Tensor) -> bool:
        """Whether layers called as for ``tokens`` compute what the model does of other tokens."""
        self._capture_calls(tokens)
        other = tokens.flip(1) if tokens.shape[1] > 1 else (tokens + 1) % 2
        try:
            expected = last_residual(self.anatomy, other)
            found = self._embed(other)
            for layer in self.anatomy.layers:
                found = self.run(layer, found)
        except FAILURES:
            return False
        size = float(expected.abs().max())
        found = found.reshape(-1)
        return found.shape == expected.reshape(-1).shape and bool(
            ((found - expected.reshape(-1)).abs() <= ROUNDING * torch.finfo(found.dtype).eps * size).all()
        )

    @property
    def embedded(self) -> tuple[Tensor, ...]:
        """What enters the next layer that :meth:`layers` yields, batch by batch; first, the first."""
        return tuple(self._activations)

    @torch.no_grad()
    def layers(self) -> Iterator[Layer]:
        """Yield each layer in turn, then move the activations through it, as it is by then."""
        for layer in self.anatomy.layers:
            yield layer
            for i, activation in enumerate(self._activations):
                self._activations[i] = self.run(layer, activation)

    @torch.no_grad()
    def observe(self, layer: Layer, matrices: list[Matrix], make: Callable[[], S]) -> InputStatistics[S]:
        """Run the current activations through ``layer`` and gather statistics of its matrices' inputs."""
        statistics = InputStatistics(make)
        with watch_products(matrices, statistics.see):
            for index, batch in enumerate(self.batches):
                if self.alone:
                    self.run(layer, self._activations[index])
                else:
                    trunk_up_to(self.anatomy, layer, batch)
                statistics.end_batch()
        return statistics

    def run(self, layer: Layer, activation: Tensor) -> Tensor:
        """One layer on one batch, called as the model calls it; only where layers stand alone."""
        args, kwargs = self._calls[layer.module]
        given = [activation if item is _HERE else item for item in args]
        named = {key: activation if item is _HERE else item for key, item in kwargs.items()}
        output = first_tensor(layer.module(*given, **named))
        assert output is not None
        return output

    def _capture_calls(self, tokens: Tensor) -> None:
        """How the model calls each layer: masks and positions are those of any batch of this shape."""

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            stream = first_tensor((args, kwargs))
            self._calls[module] = (
                tuple(_HERE if item is stream else item for item in args),
                {key: _HERE if item is stream else item for key, item in kwargs.items()},
            )

        modules = [layer.module for layer in self.anatomy.layers]
        with hooks([module.register_forward_pre_hook(enter, with_kwargs=True) for module in modules]):
            trunk(self.anatomy, tokens)

    def _embed(self, tokens: Tensor) -> Tensor:
        """What enters the first layer."""
        caught: list[Tensor] = []

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            tensor = first_tensor((args, kwargs))
            assert tensor is not None
            caught.append(tensor.detach())
            raise _Enough

        first = self.anatomy.layers[0].module
        # First in line, so that the hooks of a dropped layer are left alone.
        handle = first.register_forward_pre_hook(enter, with_kwargs=True, prepend=True)
        with hooks([handle]):
            try:
                trunk(self.anatomy, tokens)
            except _Enough:
                return caught[0]
        raise AssertionError("unreachable: the first layer was called")


_HERE = object()


def _batch_rows(rows: int, length: int) -> int:
    """Rows per batch: a divisor of ``rows``, so that all batches have one shape."""
    most = max(1, BATCH_TOKENS // length)
    return next(size for size in range(min(most, rows), 0, -1) if rows % size == 0)
