"""Figures of the steps."""
