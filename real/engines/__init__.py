"""Who can draw text and say how probable it was: transformers, llama.cpp in process, a served model."""

import lazy_loader

# What __init__.pyi lists is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
