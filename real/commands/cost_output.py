"""What ``python -m real cost`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from real.models.load import LanguageModel
from real.search.cost import Cost
from real.search.draft import Drafted


def cost_table(lm: LanguageModel, found: Sequence[Cost]) -> Table:
    """One row for each spec."""
    table = Table(
        "spec",
        "written/s",
        "read/s",
        "parameters",
        "saved, MB",
        "cache per token, bytes",
        title=f"{lm.name} on {lm.device}: what it buys (times the dense speed)",
        caption="Cache: dropped attention still fills it, as the clock of positions; unused is what an "
        "engine that leaves it out saves.",
    )
    for one in found:
        unused = f" ({one.cache_unused} unused)" if one.cache_unused else ""
        table.add_row(
            one.spec,
            f"{one.write:.1f} ({one.write_ratio:.2f}x)",
            f"{one.read:.0f} ({one.read_ratio:.2f}x)",
            f"{one.parameters / 1e6:.1f} M",
            f"{one.saved_bytes / 1e6:.0f}",
            f"{one.cache}{unused}",
        )
    return table


def draft_table(found: Sequence[Drafted]) -> Table:
    """One row for each draft."""
    table = Table("draft", title="speculative decoding: tokens of text per pass of the dense model")
    columns = ("greedy: forecast", "measured", "sampled: forecast", "measured", "greedy identical")
    for column in (*columns, "time", "forecast"):
        table.add_column(column)
    for one in found:
        table.add_row(
            f"{one.spec}, {one.length} at a time",
            f"{one.forecast:.2f}",
            f"{one.measured:.2f}",
            f"{one.sampled:.2f}",
            f"{one.sampled_measured:.2f}",
            "all" if one.identical else "NOT all",
            f"{one.time_ratio:.2f}x",
            f"{one.time_forecast:.2f}x",
        )
    return table
