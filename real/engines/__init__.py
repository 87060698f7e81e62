"""Who can draw text and say how probable it was: transformers, llama.cpp in process, a served model."""

from real.engines.engine import Engine as Engine
from real.engines.engine import Row as Row
from real.engines.engine import score_texts as score_texts
from real.engines.open import open_engine as open_engine
