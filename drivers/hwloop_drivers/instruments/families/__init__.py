"""Families of instruments: code that several drivers share."""
