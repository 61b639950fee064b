"""Keithley 2450."""
