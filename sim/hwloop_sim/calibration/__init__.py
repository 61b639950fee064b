"""Calibration files, and the emulated twin of a device that they describe."""
