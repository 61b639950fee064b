"""Drivers, one instrument per file."""
