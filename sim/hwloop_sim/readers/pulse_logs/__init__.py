"""Readers of logs of pulses: rows become pulses and reads, and these trains, sweeps or cycles."""
