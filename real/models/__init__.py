"""Load a model, keep it, save it."""
