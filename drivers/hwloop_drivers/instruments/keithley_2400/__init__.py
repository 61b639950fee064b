"""Keithley 2400 family: the limits of its models, the timing of its sweeps, its driver."""

from hwloop_drivers.instruments.keithley_2400.driver import KEITHLEY_2400

__all__ = ["KEITHLEY_2400"]
