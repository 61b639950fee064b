"""Characterisation."""
