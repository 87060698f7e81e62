"""The record: log-probabilities of drawn text, one JSON line per text; all that most forecasts need."""

import lazy_loader

# What __init__.pyi lists is imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
