"""Texts, prompts, tokens, forward passes, samples."""
