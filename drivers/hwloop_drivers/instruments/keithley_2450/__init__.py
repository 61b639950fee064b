"""Keithley 2450: its limits, and a driver for each of its languages."""
