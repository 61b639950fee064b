"""Keysight B2900: its models, its trains, its driver."""
