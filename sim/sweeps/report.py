"""What a sweep found: one row per claim, as a table, as JSON and for the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from sim.logits.draws import Families
from sim.reducers import RATIO_EDGES, TIGHTNESS_EDGES, Tally, quantile
from sim.sweeps.held import held_claims
from sim.sweeps.results import versions, write_json


@dataclass(frozen=True)
class SweepReport:
    """Result of a sweep.

    Attributes
    ----------
    seed, families
        The settings.
    draws
        Draws per vocabulary size.
    tallies
        Merged tally per vocabulary size.
    violations
        One record per confirmed violation: claim, families, vocabulary, unit, row, temperature.
    """

    seed: int
    draws: dict[int, int]
    families: Families
    tallies: dict[int, Tally]
    violations: tuple[dict[str, object], ...]

    def total(self) -> Tally:
        """All vocabulary sizes together."""
        return reduce(Tally.merge, self.tallies.values())

    def frame(self, vocabulary: int | None = None) -> pd.DataFrame:
        """One row per claim, of one vocabulary size or of all.

        Columns: claim, theorem, name, status, draws, violations, rounding (suspicious draws that high
        precision cleared), slack_upper and slack_lower (smallest relative slack at R >= 0.1, NaN without
        that side), tightness_median and tightness_99 (of the upper side, or of the lower where there is no
        upper), estimate_median (of estimate/quantity), estimate_correlation (of the logarithms).
        """
        tally = self.total() if vocabulary is None else self.tallies[vocabulary]
        return pd.DataFrame([_row(tally, index) for index in range(len(tally.draws))])

    def by_theorem(self) -> pd.DataFrame:
        """One row per theorem: draws, violations, rounding, smallest relative slack at R >= 0.1."""
        frame = self.frame()
        frame["slack"] = frame[["slack_upper", "slack_lower"]].min(axis=1)
        grouped = frame.groupby(["theorem", "name", "status"], sort=False)
        table = grouped.agg(
            draws=("draws", "max"), violations=("violations", "sum"), rounding=("rounding", "sum"),
            slack=("slack", "min"),
        )  # fmt: skip
        return table.reset_index()

    def distribution(self, side: str = "upper") -> pd.DataFrame:
        """Histograms of tightness: claim, vocabulary, tightness (bin centre), count; no empty bins."""
        centres = (TIGHTNESS_EDGES[1:] + TIGHTNESS_EDGES[:-1]) / 2
        rows = []
        for vocabulary, tally in self.tallies.items():
            histogram = getattr(tally, f"histogram_{side}")
            for index, bin_ in zip(*np.nonzero(histogram), strict=True):
                rows.append(
                    (held_claims()[index].key, vocabulary, centres[bin_], int(histogram[index, bin_]))
                )
        return pd.DataFrame(rows, columns=["claim", "vocabulary", "tightness", "count"])

    def summary(self) -> dict[str, object]:
        """Plain data for a small JSON file: settings, versions, draws, violations, the table of all claims
        together, and a shorter one per vocabulary size.
        """
        return {
            "seed": self.seed,
            "families": asdict(self.families),
            "draws": {str(size): count for size, count in self.draws.items()},
            "total_draws": sum(self.draws.values()),
            "violations": list(self.violations),
            "versions": versions(),
            "claims": _records(self.frame()),
            "vocabularies": {str(size): _records(self.frame(size)[list(BRIEF)]) for size in self.tallies},
        }

    def save(self, path: Path) -> None:
        """Write ``summary`` as JSON, atomically."""
        write_json(self.summary(), path)

    def table(self) -> Table:
        """The table by theorem for the terminal."""
        table = Table(title=f"{sum(self.draws.values()):,} draws, seed {self.seed}")
        for name in ("theorem", "name"):
            table.add_column(name)
        for name in ("draws", "violated", "rounding", "least slack"):
            table.add_column(name, justify="right")
        for row in self.by_theorem().to_dict(orient="records"):
            bounded = np.isfinite(float(row["slack"]))
            cells = [f"{row['violations']}", f"{row['rounding']}", f"{row['slack']:.1e}"]
            table.add_row(
                f"{row['theorem']}", f"{row['name']}", f"{row['draws']:,}", *(cells if bounded else ["-"] * 3)
            )
        return table


BRIEF = ("claim", "draws", "violations", "slack_upper", "slack_lower", "tightness_median", "tightness_99")


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as plain data; NaN becomes None."""
    records: list[dict[str, object]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _row(tally: Tally, index: int) -> dict[str, object]:
    held = held_claims()[index]
    upper, lower = tally.histogram_upper[index], tally.histogram_lower[index]
    main = upper if upper.any() else lower
    count, _, _, sxx, syy, sxy = tally.moments[index]
    return {
        "claim": held.key,
        "theorem": held.theorem.id,
        "name": held.theorem.name,
        "status": str(held.theorem.status),
        "draws": int(tally.draws[index]),
        "violations": int(tally.violations[index]),
        "rounding": int(tally.suspicious[index] - tally.violations[index]),
        "slack_upper": 1 - tally.tightest_upper[index] if upper.any() else np.nan,
        "slack_lower": 1 - tally.tightest_lower[index] if lower.any() else np.nan,
        "tightness_median": quantile(main, TIGHTNESS_EDGES, 0.5),
        "tightness_99": quantile(main, TIGHTNESS_EDGES, 0.99),
        "estimate_median": 2.0 ** quantile(tally.histogram_ratio[index], RATIO_EDGES, 0.5),
        "estimate_correlation": sxy / np.sqrt(sxx * syy) if count > 1 and sxx * syy > 0 else np.nan,
    }
