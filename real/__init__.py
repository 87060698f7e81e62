"""Hugging Face models: load, prune, trace hidden state → logits → probabilities, decode, forecast."""

import real.quiet  # noqa: F401  (before anything imports transformers)
from real.cache import cache_folder
from real.models.checkpoint import ModelUnavailableError
from real.models.load import LanguageModel, load, load_encoder
from real.models.save import save
from real.pruning.apply import prune, pruned
from real.pruning.choose import Sublayers, choose_sublayers
from real.pruning.spec import Spec, SpecError, parse_spec
from real.structure.anatomy import Anatomy, AnatomyError
from real.structure.recognise import anatomy
from real.text.sample import Samples, sample
from real.tracing import sublayer_logits, trace_joint, trace_sublayers
from real.tracing.free_running import FreeRunning, free_running

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
