"""A figure's files: PNG, PDF, its data as CSV, and a JSON sidecar (caption, provenance, findings).

A table has no picture; its cells are in the sidecar, for the report."""

from __future__ import annotations

import json
import platform
import subprocess
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from paper_figs.context import Setup
from paper_figs.figure import Figure
from paper_figs.style import paper_style
from theory.files import atomic_path
from theory.fingerprint import ROOT
from theory.outside import drawn_frame, spreadsheet, visible

CHARACTERS, LINE = 13, 0.145  # of a title: characters to the inch, inches to the line
GAP = 0.12  # inches between the titles of two panels


@cache
def commit() -> str | None:
    """The commit of the checkout this runs from, marked ``+changes`` if files differ from it."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "describe",
        "--always",
        "--abbrev=12",
        "--exclude=*",
        "--dirty=+changes",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # installed from a wheel, or no git here
        return None


def findings(figure: Figure, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every claim of the figure with the verdict that its rule draws from the data."""
    table = []
    for claim in figure.claims:
        finding = claim.judge(frame)
        table.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "whose": str(claim.whose),
                "theorems": list(claim.theorems),
                "rule": claim.rule,
                "verdict": str(finding.verdict),
                "evidence": finding.evidence,
            }
        )
    return table


def takeaway(figure: Figure, frame: pd.DataFrame) -> str:
    """The sentence that heads the figure: what its data say, or its subject where it has no message."""
    return figure.takeaway(frame) if figure.takeaway else figure.title


def drawing(figure: Figure, frame: pd.DataFrame, words: str) -> Canvas:
    """The picture of a table under its takeaway; texts of the table are data, whatever they look like."""
    if figure.draw is None:
        raise ValueError(f"figure must have a picture, got {figure.id}, which is a table")
    canvas = figure.draw(drawn_frame(frame))
    head(canvas, visible(words))
    return canvas


def head(canvas: Canvas, words: str) -> None:
    """Put the takeaway above the picture, which keeps its size and its layout.

    The layout is found first and then kept: constrained layout leaves no room for a legend once it is moved.
    """
    if engine := canvas.get_layout_engine():
        engine.execute(canvas)  # drawing without rendering would find it, too, and then draw for nothing
    canvas.set_layout_engine("none")
    width, height = canvas.get_size_inches()
    lines = textwrap.wrap(words, int(width * CHARACTERS))
    taller = height + LINE * len(lines) + 0.06
    top = height / taller
    canvas.set_size_inches(width, taller)
    for axis in canvas.axes:
        box = axis.get_position(original=True)
        axis.set_position((box.x0, box.y0 * top, box.width, box.height * top))
    for text in canvas.texts:
        text.set_y(text.get_position()[1] * top)
    for legend in canvas.legends:
        legend.set_bbox_to_anchor((0, 0, 1, top), canvas.transFigure)
    heading = canvas.text(
        *(0.5, 1 - 0.04 / taller), "\n".join(lines),
        ha="center", va="top", fontsize=8.5, weight="bold", parse_math=False,
    )  # fmt: skip
    _shrink([heading], [canvas.bbox.width])
    _fit_titles(canvas)


def _fit_titles(canvas: Canvas) -> None:
    """Make panels' titles smaller where one would run into the next panel's or off the page."""
    boxes = {axis.title: axis.title.get_window_extent() for axis in canvas.axes if axis.get_title()}
    rooms = []
    for box in boxes.values():
        beside = [one.x0 for one in boxes.values() if one.x0 > box.x0 and one.y0 < box.y1 and box.y0 < one.y1]
        rooms.append(min([*beside, canvas.bbox.x1]) - box.x0 - GAP * canvas.dpi)
    _shrink(list(boxes), rooms)


def _shrink(texts: Sequence[Text], rooms: Sequence[float]) -> None:
    """Scale all ``texts`` alike, so that each is at most as wide as its room, in pixels."""
    for _ in range(4):  # hinted letters do not scale evenly
        pairs = zip(texts, rooms, strict=True)
        scale = min((room / text.get_window_extent().width for text, room in pairs), default=1.0)
        if scale >= 1:
            return
        for text in texts:
            text.set_fontsize(float(text.get_fontsize()) * scale)


def _save(canvas: Canvas, title: str, png: Path, pdf: Path) -> None:
    """Render once for each file; ``savefig`` would lay out and render twice as often.

    No date in the files: the same data give the same bytes.
    """
    raster: Any = FigureCanvasAgg(canvas)
    with atomic_path(png) as partial:
        raster.print_png(partial, metadata={"Title": title})
    vector: Any = FigureCanvasPdf(canvas)
    with atomic_path(pdf) as partial:
        vector.print_pdf(partial, metadata={"Title": title, "CreationDate": None})


def _run(setup: Setup, provenance: dict[str, Any]) -> str:
    """The sentence about models, seed and sizes that ends every caption."""
    models = " and ".join(provenance["models"])
    return f"{f'Model {models}, seed' if models else 'Seed'} {setup.seed}, {setup.profile.name} profile."


def write(
    figure: Figure, frame: pd.DataFrame, setup: Setup, provenance: dict[str, Any], folder: Path
) -> list[Path]:
    """Draw ``figure`` from ``frame`` and write its files to ``folder``, each atomically."""
    png, pdf, csv, json_ = (folder / f"{figure.id}{suffix}" for suffix in (".png", ".pdf", ".csv", ".json"))
    began = time.thread_time()
    words = takeaway(figure, frame)
    if figure.draw:
        with paper_style():
            _save(drawing(figure, frame, words), figure.title, png, pdf)
    with atomic_path(csv) as partial:
        spreadsheet(frame).to_csv(partial, index=False)
    sidecar = {
        "id": figure.id,
        "title": figure.title,
        "takeaway": words,
        "section": figure.section,
        "table": asdict(figure.table(frame)) if figure.table else None,
        "caption": f"{figure.caption(frame, setup)} {_run(setup, provenance)}",
        "findings": findings(figure, frame),
        "provenance": provenance
        | {
            "setup": asdict(setup),
            "rows": len(frame),
            "softmax-drift": version("softmax-drift"),
            "commit": commit(),
            "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
            "drawn": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "drawing_seconds": round(time.thread_time() - began, 2),  # of the processor
        },
    }
    with atomic_path(json_) as partial:
        partial.write_text(json.dumps(sidecar, indent=1, default=str) + "\n", encoding="utf-8")
    return [png, pdf, csv, json_] if figure.draw else [csv, json_]
