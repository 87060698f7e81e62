"""Forecasts of scores held against models that really answer."""
