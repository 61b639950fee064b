"""Fit device models to measured trains, and say how well they predict what was left out."""
