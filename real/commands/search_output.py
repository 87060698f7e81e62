"""What ``python -m real search`` prints, writes and draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from real.forecast.text_drift import Forecast
from real.models.load import LanguageModel
from real.search.search import Point, Search
from theory.files import atomic_path
from theory.outside import drawn
from theory.terminal import console, writing


def show(lm: LanguageModel, found: Search, best: Point, saving: str, forecasts: Sequence[Forecast]) -> None:
    """Print the front and what the best spec is forecast to do on unseen prompts."""
    budget = found.texts.budget
    front = Table(f"{saving} saved", budget.label, "spec", title=f"{lm.name}: drift against what is saved")
    for point in found.front():
        chosen = "[bold]" if point is best else ""
        front.add_row(f"{point.saved:.1%}", f"{point.drift:.3f}", console.styled(f"{chosen}{point.spec}"))
    unseen = Table("spec", "KL/token", "TV of all tokens", "half-life", title="on prompts not searched on")
    for one in forecasts:
        kl, tv = one.kl_per_token, one.sequence_tv
        unseen.add_row(
            one.spec,
            f"{kl.mean:.3f} ({kl.lower:.3f}–{kl.upper:.3f})",
            f"{float(tv.mean[-1]):.2f} ({float(tv.lower[-1]):.2f}–{float(tv.upper[-1]):.2f})",
            str(one.half_life.estimate or f">{one.horizon}"),
        )
    console.show(front, *([unseen] if forecasts else []))


def write(
    folder: Path,
    lm: LanguageModel,
    found: Search,
    best: Point,
    saving: str,
    forecasts: Sequence[Forecast],
) -> None:
    """``front.csv``, ``front.json`` (with provenance and forecasts) and ``front.png`` in ``folder``."""
    import pandas as pd

    front = found.front()
    rows = [{"spec": p.spec, "saved": p.saved, "drift": p.drift, "parts": len(p.parts)} for p in front]
    writing.write_table(pd.DataFrame(rows), folder / "front.csv")
    entry = {
        "model": lm.provenance,
        "budget": str(found.texts.budget),
        "measure": found.texts.budget.label,
        "minimise": saving,
        "measured": len(found.points),
        "best": best.spec,
        "front": rows,
        "unseen": [
            {"spec": f.spec, "prompts": f.prompts, "tokens": f.horizon, "half_life": f.half_life.estimate}
            | {f"kl_{key}": value for key, value in dataclasses.asdict(f.kl_per_token).items()}
            | {f"tv_{key}": float(getattr(f.sequence_tv, key)[-1]) for key in ("mean", "lower", "upper")}
            for f in forecasts
        ],
    }
    writing.write_json(entry, folder / "front.json")
    _draw(folder / "front.png", lm, found, best, saving)


def _draw(path: Path, lm: LanguageModel, found: Search, best: Point, saving: str) -> None:
    """Every measured set, and the front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    every, front = list(found.points.values()), found.front()
    axis.scatter([p.saved for p in every], [p.drift for p in every], s=9, color="0.7", label="measured sets")
    axis.plot([p.saved for p in front], [p.drift for p in front], marker="o", ms=4, label="front")
    axis.plot([best.saved], [best.drift], "*", ms=13, color="C3", label="chosen")
    axis.axhline(found.texts.budget.limit, color="0.4", lw=0.8, ls="--")
    top = max([*(p.drift for p in front), best.drift, found.texts.budget.limit]) * 1.3
    axis.set(
        xlabel=f"share of {saving} saved",
        ylabel=drawn(found.texts.budget.label),
        ylim=(0, top),
        title=drawn(lm.name),
    )
    axis.legend()
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=150)
    pyplot.close(figure)
