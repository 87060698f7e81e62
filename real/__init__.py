"""Hugging Face models: load, prune, trace hidden state → logits → probabilities, decode, forecast."""

import lazy_loader

import real.quiet  # noqa: F401  (before anything imports transformers)

# What __init__.pyi lists is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
