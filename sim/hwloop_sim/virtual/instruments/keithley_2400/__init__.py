"""Keithley 2400."""
