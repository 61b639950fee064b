"""Calibration of device models from pulses and reads, recorded or imported."""
