"""Compiled loops of the emulator, and the random numbers drawn in them."""
