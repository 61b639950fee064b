"""Recordings of either kind, imported files and records of runs, in the same columns."""
