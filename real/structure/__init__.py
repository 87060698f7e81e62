"""What a model is made of, found by structure: layers, attention, MLP, norms, head."""
