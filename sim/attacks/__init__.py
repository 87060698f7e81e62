"""Climb towards every bound; the hardest instances found."""
