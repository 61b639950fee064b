"""Keysight b2900."""
