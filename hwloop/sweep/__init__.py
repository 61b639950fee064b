"""Sweeps: one procedure over many settings and seeds."""
