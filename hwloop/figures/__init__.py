"""Figures of the steps, drawn from a record."""
