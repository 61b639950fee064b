"""The record of a run: written, read, replayed, compared."""
