"""Rows of logits: every sum over the vocabulary, by the cheapest way that keeps its digits."""
