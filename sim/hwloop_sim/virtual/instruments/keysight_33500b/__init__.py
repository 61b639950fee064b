"""Keysight 33500b."""
