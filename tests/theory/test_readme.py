"""The examples of theory/README.md run as they stand."""

import re
from pathlib import Path

import pytest
import torch

import theory

TEXT = (Path(theory.__path__[0]) / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_example_runs(example: str) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, generator=g, dtype=torch.float64)
    names = {"logits": logits, "perturbed": logits + 0.1 * torch.randn(3, 50, generator=g)}
    exec(example, names)
