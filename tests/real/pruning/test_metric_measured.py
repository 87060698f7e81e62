"""The measurement behind docs/repair.md: its fits and gradients against what they should be."""

from __future__ import annotations

import pytest
import torch

from real.pruning.ridge import ridge
from real.structure.part import Part
from real.structure.places import places
from tests.real.conftest import tiny_language_model
from tests.real.pruning.metric_measured import by_metric, by_trace, gradients


def rows(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equal_metrics_are_plain_least_squares() -> None:
    """D6: with weights or metrics that all tokens share, every fit is the plain one."""
    x, held_x = rows(0, 60, 4), rows(1, 30, 4)
    mix = rows(2, 4, 3)
    y, held_y = x @ mix + 0.3 * rows(3, 60, 3), held_x @ mix + 0.3 * rows(4, 30, 3)
    plain = ridge(x, y, held_x, held_y)
    assert plain.weight is not None
    traced = by_trace(x, y, torch.full((60,), 2.0), (held_x, held_y, torch.full((30,), 5.0)))
    torch.testing.assert_close(traced.weight, plain.weight, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(traced.bias, plain.bias, rtol=1e-6, atol=1e-8)
    g = rows(5, 1, 2, 3)
    fit = by_metric(x, y, g.expand(60, 2, 3), (held_x, held_y, g.expand(30, 2, 3)))
    torch.testing.assert_close(fit.weight, plain.weight, rtol=2e-2, atol=5e-3)


def test_the_second_moment_of_gradients_is_the_fisher_metric_of_the_last_token() -> None:
    """At the last place of a text only its own logits depend on the output: J' (diag p - p p') J."""
    lm = tiny_language_model()
    (place,) = places(lm.anatomy, [Part(2, "mlp")])
    tokens = torch.arange(5).unsqueeze(0)
    g = gradients(lm, [place], tokens, draws=1500)[0][-1].double()
    seen = place.watch(lm.anatomy, lambda: lm.model(input_ids=tokens))[1][-1]
    stream: list[torch.Tensor] = []
    handle = lm.anatomy.layers[2].module.register_forward_hook(lambda m, args, out: stream.append(out[0]))
    with torch.no_grad():
        lm.model(input_ids=tokens)
    handle.remove()
    last = stream[0].reshape(-1, len(seen))[-1]

    def logits(output: torch.Tensor) -> torch.Tensor:
        norm, head = lm.model.model.norm, lm.model.lm_head
        return head(norm(last - seen + output))

    jacobian = torch.autograd.functional.jacobian(logits, seen).double()
    p = logits(seen).detach().double().softmax(-1)
    fisher = jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    assert float(g.square().sum(-1).mean()) == pytest.approx(float(fisher.trace()), rel=0.1)
    found = g.T @ g / len(g)
    assert float((found - fisher).norm() / fisher.norm()) < 0.15
