"""``measure`` beside plain torch on 200 x 49,152 float32 logits, one thread: ratios of times taken in turn.

Two rivals compute the same columns by their textbook formulas: on whole tensors, as one would write it, in
float32 and in float64; and row by row in float64, so that temporaries stay in the cache. Neither keeps the
digits of small drifts. The ratio reported is the median over rounds of measure's time to the rival's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from theory import measure

ROWS, VOCABULARY, ROUNDS = 200, 49_152, 3


def variance(weights: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    weights = weights / weights.sum(-1, keepdim=True)
    mean = (weights * delta).sum(-1, keepdim=True)
    return (weights * (delta - mean) ** 2).sum(-1), mean.squeeze(-1)


def textbook(z: Tensor, w: Tensor, temperature: float = 1.0) -> dict[str, Tensor]:
    log_p, log_q = torch.log_softmax(z / temperature, -1), torch.log_softmax(w / temperature, -1)
    p, q, step = log_p.exp(), log_q.exp(), w - z
    delta, ratio, log_middle = step / temperature, log_q - log_p, ((p + q) / 2).log()
    columns = {
        "kl": (p * (log_p - log_q)).sum(-1),
        "kl_reverse": (q * (log_q - log_p)).sum(-1),
        "js": ((p * (log_p - log_middle)).sum(-1) + (q * (log_q - log_middle)).sum(-1)) / 2,
        "tv": (p - q).abs().sum(-1) / 2,
        "hellinger_sq": 1 - (p * q).sqrt().sum(-1),
        "chi2": ((q - p) ** 2 / p).sum(-1),
        "chi2_reverse": ((q - p) ** 2 / q).sum(-1),
        "cosdist_p": 1 - cosine_similarity(p, q, -1),
        "cosdist_z": 1 - cosine_similarity(z, w, -1),
        "cosdist_z_centred": 1
        - cosine_similarity(z - z.mean(-1, keepdim=True), w - w.mean(-1, keepdim=True), -1),
        "oscillation": delta.amax(-1) - delta.amin(-1),
        "rho_plus": ratio.amax(-1),
        "rho_minus": -ratio.amin(-1),
        "p_max": p.amax(-1),
        "entropy": -(p * log_p).sum(-1),
        "entropy_perturbed": -(q * log_q).sum(-1),
        "gini_p": (p * p).sum(-1),
        "top1_agree": z.argmax(-1) == w.argmax(-1),
    }
    weights = {"p": p, "q": q, "r": p * p, "w": p * q, "g": (p * q).sqrt(), "u": torch.ones_like(p)}
    for name, weight in weights.items():
        columns[f"var_{name}"], mean = variance(weight, delta)
        if name in ("p", "r"):
            columns[f"low_{name}"], columns[f"high_{name}"] = delta.amin(-1) - mean, delta.amax(-1) - mean
    first_two = z.topk(2, -1).values
    columns["margin"] = (first_two[..., 0] - first_two[..., 1]) / temperature
    columns["gini_r"] = (p**4).sum(-1) / columns["gini_p"] ** 2
    columns["norm_sq"] = (z * z).sum(-1)
    columns["parallel"] = (z * step).sum(-1) / columns["norm_sq"]
    across = step - columns["parallel"].unsqueeze(-1) * z
    columns["orthogonal_sq"] = (across * across).sum(-1) / columns["norm_sq"]
    return columns


def row_by_row(z: Tensor, w: Tensor) -> None:
    for row in range(len(z)):
        textbook(z[row : row + 1].double(), w[row : row + 1].double())


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


RIVALS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "textbook float32, whole tensors": textbook,
    "textbook float64, whole tensors": lambda z, w: textbook(z.double(), w.double()),
    "textbook float64, row by row": row_by_row,
}


@pytest.mark.benchmark
@pytest.mark.parametrize("scale", [0.3, 0.01, 1e-4])
def test_measure_beside_textbook_formulas(scale: float, capsys: pytest.CaptureFixture[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(ROWS, VOCABULARY, generator=generator)
    perturbed = logits + scale * torch.randn(ROWS, VOCABULARY, generator=generator)
    missing = set(measure(logits[:1], perturbed[:1]).columns) - set(textbook(logits[:1], perturbed[:1]))
    assert missing == {"p_rest", "option_mass", "option_mass_perturbed", "temperature", "vocabulary"}
    rounds = []
    for _ in range(ROUNDS):
        ours = seconds(lambda: measure(logits, perturbed))
        rounds.append(
            [ours, *(ours / seconds(lambda r=rival: r(logits, perturbed)) for rival in RIVALS.values())]
        )
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    with capsys.disabled():
        print(f"\nmeasure, drift {scale:g}: {medians[0] / ROWS * 1e3:.2f} ms per row of {VOCABULARY}")
        for name, ratio in zip(RIVALS, medians[1:], strict=True):
            print(f"  time / {name}: {ratio:.2f}")
