"""Plain least squares and least squares in the metric of the drift, measured on SmolLM2: see docs/repair.md.

``python -m tests.real.pruning.metric_measured`` prints the table; a few minutes on one core.

D6 leaves open what a metric that differs between tokens gains. Here F_t is estimated by gradients of the
log-likelihood of tokens that the model draws itself: their second moment at the output of a sublayer is the
Fisher metric of all later logits, pulled back. Three fits on the same rows, the strength of each chosen on
the same held-out rows: plain; tokens weighted by tr F_t; and F_t itself, half and half with its mean trace
times the unit matrix (a few gradients per token have far too small a rank to stand alone).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from real.models.load import LanguageModel, load
from real.pruning.divergence import mean_divergence, states
from real.pruning.repair import Repaired, applied
from real.pruning.ridge import STRENGTHS, LinearFit, ridge
from real.structure.ascent import Ascent
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.places import Place, places
from real.structure.probe import hooks
from real.structure.substitute import Substitute
from real.text.own import own_tokens
from theory.terminal.console import track

PARTS = (Part(8, "attn"), Part(28, "attn"), Part(20, "mlp"))
ROWS = {"fit": slice(0, 4), "choose": slice(4, 6), "report": slice(6, 9)}
DRAWS = 3
STEPS = 80


def gradients(lm: LanguageModel, found: list[Place], tokens: Tensor, draws: int = DRAWS) -> list[Tensor]:
    """Of the log-likelihood of drawn next tokens, at the output of every place: ``(n, draws, d)`` each."""
    kept: list[list[Tensor]] = [[] for _ in found]
    for row in track(tokens, "gradients"):
        drawn: list[list[Tensor]] = [[] for _ in found]
        for seed in range(draws):
            for mine, gradient in zip(drawn, _gradients(lm, found, row.unsqueeze(0), seed), strict=True):
                mine.append(gradient)
        for whole, mine in zip(kept, drawn, strict=True):
            whole.append(torch.stack(mine, 1))
    return [torch.cat(whole) for whole in kept]


def _gradients(lm: LanguageModel, found: list[Place], row: Tensor, seed: int) -> list[Tensor]:
    outputs: dict[int, Tensor] = {}

    def watch(index: int) -> object:
        def hook(module: object, args: object, output: Tensor) -> Tensor:
            outputs[index] = output.requires_grad_() if output.is_leaf else output
            outputs[index].retain_grad()
            return outputs[index]

        return hook

    handles = [place.target.register_forward_hook(watch(i)) for i, place in enumerate(found)]  # type: ignore[arg-type]
    with torch.enable_grad(), hooks(handles):
        log_p = lm.model(input_ids=row).logits[0].float().log_softmax(-1)
        noise = torch.rand(log_p.shape, generator=torch.Generator().manual_seed(seed)).log().neg().log().neg()
        picked = (log_p.detach() + noise).argmax(-1, keepdim=True)
        log_p.gather(1, picked).sum().backward()
    lm.model.zero_grad(set_to_none=True)
    return [outputs[i].grad[0] for i in range(len(found))]  # type: ignore[index]


def by_trace(x: Tensor, y: Tensor, w: Tensor, held: tuple[Tensor, Tensor, Tensor]) -> LinearFit:
    """Ridge with tokens weighted by ``w`` ``(n,)``."""
    x, y, w = x.double(), y.double(), (w / w.mean()).double().unsqueeze(1)
    held_x, held_y, held_w = (part.double() for part in held)
    held_w = (held_w / held_w.mean()).unsqueeze(1)
    centre_x, centre_y = (w * x).mean(0), (w * y).mean(0)
    fit = ridge(
        w.sqrt() * (x - centre_x),
        w.sqrt() * (y - centre_y),
        held_w.sqrt() * (held_x - centre_x),
        held_w.sqrt() * (held_y - centre_y),
        intercept=False,
    )
    weight = torch.zeros(y.shape[1], x.shape[1], dtype=torch.float64) if fit.weight is None else fit.weight
    return LinearFit(weight, centre_y - weight @ centre_x, fit.strength, fit.unexplained)


def by_metric(x: Tensor, y: Tensor, g: Tensor, held: tuple[Tensor, Tensor, Tensor]) -> LinearFit:
    """Least squares in (F_t + its mean)/2, F_t by gradients ``g`` ``(n, draws, d)``; conjugate gradients."""
    x, held_x = (torch.cat([part, torch.ones(len(part), 1)], 1).double() for part in (x, held[0]))
    y, g, held_y, held_g = y.double(), g.double(), held[1].double(), held[2].double()
    size = g.square().sum(-1).mean() / y.shape[1]
    penalty = torch.ones(x.shape[1], dtype=torch.float64)
    penalty[-1] = 0
    scale = float((x[:, :-1] - x[:, :-1].mean(0)).square().sum()) / (x.shape[1] - 1)

    def metric(error: Tensor, of: Tensor) -> Tensor:
        pulled = torch.einsum("nsd,ns->nd", of, torch.einsum("nsd,nd->ns", of, error)) / of.shape[1]
        return (pulled / size + error) / 2

    best, least = None, math.inf
    for strength in STRENGTHS[1:-1]:

        def normal(weight: Tensor, strength: float = strength) -> Tensor:
            return metric(x @ weight.T, g).T @ x + strength * scale * weight * penalty

        weight = conjugate(normal, metric(y, g).T @ x)
        error = held_x @ weight.T - held_y
        cost = float((metric(error, held_g) * error).sum())
        if cost < least:
            best, least = LinearFit(weight[:, :-1], weight[:, -1], strength, cost), cost
    assert best is not None
    return best


def conjugate(normal: object, right: Tensor) -> Tensor:
    """Conjugate gradients for ``normal(w) = right``."""
    w, residual = torch.zeros_like(right), right.clone()
    direction, norm = residual.clone(), residual.square().sum()
    for _ in range(STEPS):
        image = normal(direction)  # type: ignore[operator]
        step = norm / (direction * image).sum()
        w, residual = w + step * direction, residual - step * image
        before, norm = norm, residual.square().sum()
        direction = residual + norm / before * direction
    return w


def measured(lm: LanguageModel, tokens: Tensor) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Part by part: name, how unequal the weights of tokens are, and KL of each fit on the rows to report."""
    found = places(lm.anatomy, PARTS)
    names = {module: name for name, module in lm.model.named_modules()}
    pulled = gradients(lm, found, tokens[:6])
    report = tokens[ROWS["report"]]
    dense = states(lm, report)
    for place, g in zip(found, pulled, strict=True):
        x, y = Ascent(lm.anatomy, tokens[ROWS["fit"]]).watch(place)
        held_x, held_y = Ascent(lm.anatomy, tokens[ROWS["choose"]]).watch(place)
        mine, theirs = g[: len(x)], g[len(x) :]
        trace, held_trace = (part.square().sum(-1).mean(1) for part in (mine, theirs))
        fits = {
            "plain": ridge(x, y, held_x, held_y),
            "trace": by_trace(x, y, trace, (held_x, held_y, held_trace)),
            "metric": by_metric(x, y, mine, (held_x, held_y, theirs)),
        }
        kl = {}
        with dropped(lm.anatomy, place.parts, verify=False):
            kl["none"] = mean_divergence(lm, dense, states(lm, report)).kl
            for name, fit in fits.items():
                weight = None if fit.weight is None else fit.weight.float()
                one = Substitute(names[place.carrier], names[place.reader], fit.bias.float(), weight)
                with applied(lm, Repaired((one,))):
                    kl[name] = mean_divergence(lm, dense, states(lm, report)).kl
        spread = torch.quantile(trace, torch.tensor([0.1, 0.9]))
        yield str(place), float(spread[1] / spread[0]), kl


def main() -> None:
    torch.set_num_threads(1)
    lm = load("smollm2-135m")
    for name, spread, kl in measured(lm, own_tokens(lm, 9, 256)):
        print(
            name, f"tr F_t, 90 % over 10 % quantile {spread:.0f};", *(f"{k} {v:.4f}" for k, v in kl.items())
        )


if __name__ == "__main__":
    main()
