"""What ``python -m real tasks`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from real.tasks.baselines import Baseline, published
from theory.outside import visible
from theory.terminal.tables import plain_table

_LEGEND = (
    "In brackets 95 % limits over the items asked. No signal: they reach chance (1 % where nothing can be "
    "guessed), so a compressed model has nothing to lose there."
)


def task_table(found: Sequence[Baseline], model: str) -> Group:
    """One row per task: measured, what guessing gives, and what the model's authors state."""
    cited = published(model)
    table = plain_table("task", "items", "metric", "score", "chance", "signal", "published")
    for one in found:
        score, _ = cited.get(one.task.partition(":")[0], (None, ""))
        table.add_row(
            one.task,
            str(one.n),
            one.metric,
            f"{one.score:.2f} [{one.lower:.2f}, {one.upper:.2f}]",
            "–" if one.chance is None else f"{one.chance:.2f}",
            "yes" if one.signal else "none",
            "" if score is None else f"{score:.3f}",
        )
    names = {one.task.partition(":")[0] for one in found} & cited.keys()
    sources = sorted({f"Published: {cited[name][1]}." for name in names})
    return Group(Text(visible(f"{model}: public benchmarks, dense"), "bold"), table, _LEGEND, *sources)
