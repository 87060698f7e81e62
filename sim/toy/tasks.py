"""Running sums: one addition as a single-step task, many in a row as a multi-step task.

A prompt is ``d_1 .. d_n`` and a question mark or an equals sign. After the question mark the answer is the
one token ``d_1 + d_2``; after the equals sign it is the ``n`` running sums, each of which needs the one
before. All sums are modulo ``base``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Task:
    """Alphabet and length of the tasks.

    Attributes
    ----------
    base
        Number of digits.
    length
        Number of digits in a prompt, and of tokens in a multi-step answer.
    """

    base: int = 7
    length: int = 8

    @property
    def single(self) -> int:
        """Token of the question mark."""
        return self.base

    @property
    def multiple(self) -> int:
        """Token of the equals sign."""
        return self.base + 1

    @property
    def vocabulary(self) -> int:
        """Digits, question mark, equals sign."""
        return self.base + 2

    def prompts(self, count: int, mark: int, generator: torch.Generator) -> Tensor:
        """Random prompts ending in ``mark``, shape ``(count, length + 1)``."""
        digits = torch.randint(self.base, (count, self.length), generator=generator)
        return torch.cat([digits, torch.full((count, 1), mark)], dim=1)

    def answers(self, prompts: Tensor) -> Tensor:
        """Right answers of ``prompts``, which share one mark: ``(count, 1)`` or ``(count, length)``."""
        digits = prompts[:, :-1]
        if int(prompts[0, -1]) == self.single:
            return digits[:, :2].sum(dim=1, keepdim=True) % self.base
        return digits.cumsum(dim=1) % self.base
