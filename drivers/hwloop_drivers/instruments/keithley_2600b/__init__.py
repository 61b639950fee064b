"""Keithley 2600B: its models, its channels, its driver."""
