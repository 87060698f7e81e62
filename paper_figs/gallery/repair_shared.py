"""Choices and repairs side by side: from a run that ships, or measured here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from paper_figs.context import Context
from paper_figs.limits import mean_ratio
from paper_figs.measured import shipped
from real.search.compare import KINDS, Sizes, compare

BASE = ("cosine", "none")
HALF = 0.5


def table(context: Context) -> pd.DataFrame:
    """A row for each case, choice and repair: means over prompts, and KL over that of the cosine unrepaired.

    ``ratio`` with limits, prompts being the units; ``kept``: mean over tasks of the share of the dense score
    of written answers; ``half_life``: first n with survival below one half, NaN beyond the horizon.
    """
    known = shipped.comparisons().get(context.setup.model)
    rows = known["rows"] if known else list(_measured(context))
    found = pd.DataFrame([_row(entry) for entry in rows])
    kl = {(e["case"], e["choice"], e["repair"]): e["kl"] for e in rows}
    ratios = [_ratio(kl[e["case"], e["choice"], e["repair"]], kl[e["case"], *BASE]) for e in rows]
    limits = pd.DataFrame(ratios, columns=["ratio", "ratio_low", "ratio_high"])
    return found.join(limits).assign(model=context.setup.model)


def _measured(context: Context) -> Any:
    profile = context.setup.profile
    sizes = Sizes(
        texts=3 * profile.prompts_per_kind,
        tokens=profile.tokens,
        prompts=3 * profile.prompts_per_kind,
        horizon=profile.sample_tokens,
        calibration=(max(4, profile.calibration[0] // 2), profile.calibration[1] // 4),
        repair=(max(4, profile.calibration[0] // 2), 256),
        questions=profile.items,
    )
    cases = [f"{target}:{count}" for target in KINDS for count in profile.ladder if count]
    context.lm  # noqa: B018  # loaded before it is watched
    return context.track(
        compare(context.lm, context.folder / "compared", cases, sizes, context.setup.seed),
        "choices and repairs",
    )


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    survival = np.mean(entry["survival"], axis=0)
    below = np.flatnonzero(survival < HALF)
    kept = [task["after"] / task["before"] for task in entry["tasks"].values() if task["before"] > 0]
    return {
        **{key: entry[key] for key in ("case", "choice", "repair", "spec", "saved")},
        "kl": float(np.mean(entry["kl"])),
        "tv": float(np.mean(entry["tv"])),
        "half_life": float(below[0]) + 1 if len(below) else np.nan,
        "horizon": len(survival),
        "kept": float(np.mean(kept)) if kept else np.nan,
        "repair_kept": entry["kept"],
        "prompts": len(entry["kl"]),
    }


def _ratio(kl: list[float], base: list[float]) -> tuple[float, float, float]:
    found = mean_ratio(kl, base, range(len(kl)))
    return found.value, found.low, found.high
