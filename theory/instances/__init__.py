"""What a step is tried on: pairs of distributions, trees, vectors, as exact numbers."""
