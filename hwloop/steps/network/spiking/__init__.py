"""Inference by hidden units that fire or not, in the rhythm of time steps."""
