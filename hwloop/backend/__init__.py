"""Backends, which stand for an array, and the guard around them."""
