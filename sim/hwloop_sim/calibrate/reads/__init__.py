"""Noise and drift from reads over time without pulses."""
