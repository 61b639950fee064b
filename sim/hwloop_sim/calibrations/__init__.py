"""Calibration files, ``*.yaml``: parameters with source, conditions and validity."""
