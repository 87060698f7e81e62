"""What happens to texts, as an object: a table, verdicts, a picture, a page in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from real.forecast.text_drift import Forecast, default_prompts, forecast, reference
from real.forecast.verdict import Verdict, verdicts
from real.models.load import AnyModel, loaded
from real.pruning.calibration import spread
from real.scores.verdict import Interval
from theory import Band
from theory.outside import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = {
    "sequence_tv": "total variation of n tokens",
    "survival": "n tokens identical (best coupling)",
    "shared_noise": "n tokens identical (shared noise)",
}
_NUMBERS = ("kl_per_token", "acceptance", "identical_tokens", "options_lost", "retrieval_lost")


def forecast_texts(
    model: AnyModel,
    specs: Sequence[str],
    prompts: Sequence[str] | None = None,
    *,
    tokens: int = 64,
    samples: int = 1,
    temperature: float = 1.0,
    seed: int = 0,
) -> TextReport:
    """Say of every variant what its texts of ``tokens`` tokens will be like, without letting it write.

    Parameters
    ----------
    model:
        A name or folder that :func:`real.load` takes, a model that is loaded already, or a transformers model
        with its tokenizer.
    specs:
        Pruning specs or other checkpoints.
    prompts:
        Texts that the dense model continues; 40 shipped ones by default.
    samples:
        Dense texts per prompt; more prompts narrow the intervals, more samples hardly do.

    Raises
    ------
    ValueError
        Bad input, in one sentence: no spec, a bad one, a prompt that does not fit, a temperature below 0.

    Example
    -------
    >>> report = forecast_texts("smollm2-135m", ["int8", "attn:4"], tokens=32)  # doctest: +SKIP
    >>> report.frame()[["spec", "kl_per_token", "short answer"]]  # doctest: +SKIP
    """
    if not specs:
        raise ValueError("name at least one variant")
    lm = loaded(model)
    texts = default_prompts() if prompts is None else list(prompts)
    dense = reference(lm, texts, tokens, samples, temperature, seed)
    return TextReport(lm.name, tuple(forecast(lm, specs, dense)))


@dataclass(frozen=True)
class TextReport:
    """Forecasts of several variants on the same dense texts."""

    model: str
    forecasts: tuple[Forecast, ...]

    @property
    def verdicts(self) -> dict[str, tuple[Verdict, ...]]:
        """The four verdicts of every variant: multiple choice, retrieval, short answer, long generation."""
        return {one.spec: verdicts(one) for one in self.forecasts}

    def frame(self) -> pd.DataFrame:
        """One row per variant: numbers with their limits, the total variation of all tokens, verdicts.

        kl_per_token_least, _most: over three calibration texts, for specs whose masks are found layer by
        layer; else NaN.
        """
        rows = []
        for one in self.forecasts:
            row: dict[str, Any] = {"spec": one.spec, "prompts": one.prompts, "tokens": one.horizon}
            for name in _NUMBERS:
                row |= _limits(name, getattr(one, name))
            row |= spread("kl_per_token", one.kl_per_token_calibrations)
            row |= _limits("tv", _last(one.sequence_tv))
            rows.append(row | {found.kind: found.outcome.value for found in verdicts(one)})
        return pd.DataFrame(rows)

    def curves(self) -> pd.DataFrame:
        """One row per variant and number of tokens n: every curve with its limits, valid for each n."""
        rows = []
        for one in self.forecasts:
            for n in range(one.horizon):
                row: dict[str, Any] = {"spec": one.spec, "tokens": n + 1, "kl": float(one.kl[n])}
                for name in CURVES:
                    band = getattr(one, name)
                    row |= _limits(
                        name, Interval(*(float(x[n]) for x in (band.mean, band.lower, band.upper)))
                    )
                rows.append(row)
        return pd.DataFrame(rows)

    def plot(self) -> Figure:
        """Draw the three curves against the number of tokens, with their bands."""
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(12, 3.5), layout="constrained")
        axes = canvas.subplots(1, len(CURVES), sharex=True, sharey=True)
        for axis, (curve, title) in zip(axes, CURVES.items(), strict=True):
            for one in self.forecasts:
                band, n = getattr(one, curve), range(1, one.horizon + 1)
                (line,) = axis.plot(n, band.mean, label=drawn(one.spec))
                axis.fill_between(n, band.lower, band.upper, color=line.get_color(), alpha=0.12)
            axis.set(title=title, xlabel="tokens n", ylim=(0, 1))
        axes[0].legend(title=drawn(self.model))
        return canvas

    def __repr__(self) -> str:
        drifts = ", ".join(f"{one.spec} {one.kl_per_token.mean:.3f}" for one in self.forecasts)
        return f"<TextReport of {self.model}: {drifts} nats per token>"

    def _repr_html_(self) -> str:
        shown = self.frame()[
            ["spec", "kl_per_token", "tv", *(one.kind for one in verdicts(self.forecasts[0]))]
        ]
        caption = f"{html.escape(self.model)}: texts of {self.forecasts[0].horizon} tokens"
        styled = shown.style.hide(axis="index").set_caption(caption).format(precision=3, escape="html")
        page: str = styled.to_html()
        return page


def _limits(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_lower": interval.lower, f"{name}_upper": interval.upper}


def _last(band: Band) -> Interval:
    return Interval(float(band.mean[-1]), float(band.lower[-1]), float(band.upper[-1]))
