"""Forecast a run on twins."""
