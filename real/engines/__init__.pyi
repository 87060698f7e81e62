from .engine import Engine as Engine
from .engine import Row as Row
from .engine import score_texts as score_texts
from .open import open_engine as open_engine
