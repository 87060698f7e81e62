"""One self-contained page, ``index.html``: claims with verdicts, figures, theorems, provenance."""

from paper_figs.report.build import write_report

__all__ = ["write_report"]
