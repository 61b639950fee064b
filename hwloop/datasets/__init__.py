"""Measured data and calibrations as files."""
