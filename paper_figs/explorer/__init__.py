"""One self-contained page, ``explorer.html``: a softmax step and an autoregressive chain to play with."""

from paper_figs.explorer.build import write_explorer

__all__ = ["write_explorer"]
