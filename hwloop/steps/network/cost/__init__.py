"""Estimates of what an inference takes: multiplications, conversions, energy and time."""
