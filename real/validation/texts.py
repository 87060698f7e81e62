"""Hold the forecast of texts against what happens: let the pruned models write, then compare.

- Greedy text departs exactly where forecast (G10).
- On prompts that the forecast has not seen, text stays identical as long as forecast: under maximal coupling
  of every step (G2) and under shared Gumbel noise (G11).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from real.cache import cache_folder, content_key, read_record, write_record
from real.forecast.coupled import Coupling, identical_prefix
from real.forecast.stepwise import DensePass, dense_pass
from real.forecast.text_drift import LEVEL, DenseReference, Forecast, by_prompt, doublings, observe, reference
from real.forecast.text_drift import summarise as summarise_forecast
from real.models.load import LanguageModel
from real.pruning.spec import names_checkpoint
from real.pruning.variants import variant
from real.text.sample import sample
from theory import Band
from theory.fingerprint import fingerprint
from theory.sequences.betting import betting_band
from theory.terminal.console import say, track

_SHORT = 8  # tokens of a short answer


@dataclass(frozen=True)
class Plan:
    """What is compared. samples: dense texts per unseen prompt."""

    specs: tuple[str, ...]
    texts: tuple[str, ...]
    tokens: int = 64
    samples: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.texts) < 2:
            raise ValueError(
                f"texts must be at least 2 prompts (every second is kept unseen), got {len(self.texts)}"
            )


@dataclass
class _Dense:
    """What the dense model gives, made when first needed and shared by all specs."""

    lm: LanguageModel
    plan: Plan

    @cached_property
    def reference(self) -> DenseReference:
        return reference(self.lm, self.plan.texts[::2], self.plan.tokens, seed=self.plan.seed)

    @cached_property
    def unseen(self) -> DensePass:
        plan = self.plan
        return dense_pass(
            self.lm, sample(self.lm, plan.texts[1::2], plan.tokens, plan.samples, 1.0, plan.seed + 1)
        )

    def prepare(self) -> None:
        """Make everything now, while the model is still dense."""
        _ = self.reference, self.unseen


def validate_texts(lm: LanguageModel, plan: Plan, folder: Path | None = None) -> list[dict[str, Any]]:
    """One record per spec, forecast beside outcome; a record that ``folder`` holds is not made again.

    Keys: spec; kl_per_token, acceptance, sequence_tv (at 8 tokens and at the horizon); greedy; survival and
    shared_noise (forecast and measured band at n = 1, 2, 4, …).
    """
    folder = (folder or cache_folder() / "validation") / _key(lm, plan)
    dense, records = _Dense(lm, plan), []
    for spec in track(plan.specs, "validating"):
        known = folder / f"{content_key(spec)}.json"
        # What lies in another checkpoint's folder may change; its answers are kept by content.
        record = None if names_checkpoint(spec) else read_record(known)
        if record is None:
            record = json.loads(json.dumps(_compare(lm, spec, dense)))
            write_record(known, record)
        records.append(record)
        say(f"{spec}: {records[-1]['kl_per_token']['mean']:.3f} nats per token forecast and checked")
    return records


def _key(lm: LanguageModel, plan: Plan) -> str:
    """Another content, library, device, code or plan (specs apart) is another folder."""
    settings = {key: value for key, value in asdict(plan).items() if key != "specs"}
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers")}
    code = fingerprint("real.validation.texts")
    return content_key([lm.content, settings, libraries, lm.device.type, code])


def _compare(lm: LanguageModel, spec: str, dense: _Dense) -> dict[str, Any]:
    dense.prepare()
    with variant(lm, spec) as other:
        forecast = summarise_forecast(spec, dense.reference, observe(lm, dense.reference, other))
        greedy = identical_prefix(other, dense.reference.greedy, "greedy")
        survival = _survival(forecast.survival, dense.unseen, other, "maximal", dense.plan.seed)
        shared = _survival(forecast.shared_noise, dense.unseen, other, "shared noise", dense.plan.seed)
    return {
        "spec": spec,
        "kl_per_token": asdict(forecast.kl_per_token),
        "acceptance": asdict(forecast.acceptance),
        "sequence_tv": {
            "short": _at(forecast.sequence_tv, min(_SHORT, forecast.horizon)),
            "long": _at(forecast.sequence_tv, forecast.horizon),
        },
        "greedy": _greedy(forecast, greedy),
        "survival": survival,
        "shared_noise": shared,
    }


def _greedy(forecast: Forecast, measured: Tensor) -> dict[str, float]:
    """Share of prompts whose greedy text departs exactly where forecast, and mean identical tokens."""
    predicted, certified = forecast.greedy.identical, forecast.greedy.certified
    return {
        "exact": float((measured == predicted).double().mean()),
        "forecast": float(predicted.double().mean()),
        "measured": float(measured.double().mean()),
        "certified": float(certified.double().mean()),
        "certified_held": float((certified <= measured).double().mean()),
    }


def _survival(
    forecast: Band, dense: DensePass, other: LanguageModel, coupling: Coupling, seed: int
) -> list[dict[str, float]]:
    """Forecast and measured probability that n tokens are identical, at powers of two and the horizon."""
    prefix = identical_prefix(other, dense, coupling, seed + 2)
    length = dense.samples.lengths - dense.samples.prompt_lengths
    whole = prefix == length
    horizon = len(forecast.mean)
    counts = doublings(horizon)
    held = torch.stack([whole | (prefix >= n) for n in counts], dim=1).double()
    measured = betting_band(by_prompt(held, dense.samples), LEVEL)
    return [
        {"n": n}
        | {f"forecast_{key}": value for key, value in _at(forecast, n).items()}
        | {f"measured_{key}": value for key, value in _at(measured, column + 1).items()}
        for column, n in enumerate(counts)
    ]


def _at(band: Band, n: int) -> dict[str, float]:
    return {key: float(getattr(band, key)[n - 1]) for key in ("mean", "lower", "upper")}
