"""What MkDocs builds beside the written pages: executed tutorials, the theorem catalogue, the list of figures.

Tutorials are percent-format Python files; each is executed as a notebook, and a cell that fails fails the build.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 600  # for busy machines; a minute in all on a quiet one


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; take the sources that are no pages out of the site."""
    from docs_pages import figures_page, theorem_pages

    for path in sorted((ROOT / "docs" / "tutorials").glob("*.py")):
        _add(files, config, f"tutorials/{path.stem}.md", tutorial(path))
    for name, text in theorem_pages().items():
        _add(files, config, name, text)
    _add(files, config, "figures.md", figures_page())
    return files


def _add(files: Files, config: MkDocsConfig, name: str, text: str) -> None:
    files.append(File.generated(config, name, content=text))


def tutorial(path: Path) -> str:
    """The notebook in ``path``, executed, as Markdown."""
    notebook: Any = jupytext.read(path)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1", "OMP_WAIT_POLICY": "passive"}
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", extra_arguments=["--log-level=40"]
    )
    client.execute(env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # progress bars and logs are no results
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    text, _ = MarkdownExporter(exclude_input_prompt=True, exclude_output_prompt=True).from_notebook_node(
        notebook
    )
    source = f"*Executed when this site was built; the source is `docs/tutorials/{path.name}`.*\n\n"
    heading, _, rest = text.replace("<th></th>", "<td></td>").lstrip().partition("\n")  # no empty headers
    return f"{heading}\n\n{source}{rest}"
