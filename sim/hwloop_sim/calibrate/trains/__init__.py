"""Calibration of device models from trains of equal pulses."""
