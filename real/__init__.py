"""Hugging Face models: load, prune, trace hidden state → logits → probabilities, decode, forecast."""

import real.quiet  # noqa: F401  (before anything imports transformers)
from real.anatomy import anatomy
from real.cache import cache_folder
from real.choose import Sublayers, choose_sublayers
from real.decode import FreeRunning, free_running
from real.load import LanguageModel, ModelUnavailableError, load, load_encoder
from real.parts import Anatomy, AnatomyError
from real.pruning import prune, pruned
from real.sample import Samples, sample
from real.save import save
from real.spec import Spec, SpecError, parse_spec
from real.trace import sublayer_logits, trace_joint, trace_sublayers

__all__ = [
    "Anatomy",
    "AnatomyError",
    "FreeRunning",
    "LanguageModel",
    "ModelUnavailableError",
    "Samples",
    "Spec",
    "SpecError",
    "Sublayers",
    "anatomy",
    "cache_folder",
    "choose_sublayers",
    "free_running",
    "load",
    "load_encoder",
    "parse_spec",
    "prune",
    "pruned",
    "sample",
    "save",
    "sublayer_logits",
    "trace_joint",
    "trace_sublayers",
]
