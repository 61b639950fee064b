"""The Python of scripts and notebooks: runs, arrays for loops of one's own, and records as data."""
