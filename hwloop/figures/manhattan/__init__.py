"""Figures of a Manhattan training."""
