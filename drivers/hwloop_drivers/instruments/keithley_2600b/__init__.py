"""Keithley 2600b."""
