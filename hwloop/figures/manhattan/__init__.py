"""Figures of training by the Manhattan rule."""
