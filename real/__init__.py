"""Hugging Face models: load, prune, trace hidden state → logits → probabilities, decode, forecast."""

from real.cache import cache_folder
from real.load import LanguageModel, ModelUnavailableError, load, load_encoder

__all__ = ["LanguageModel", "ModelUnavailableError", "cache_folder", "load", "load_encoder"]
