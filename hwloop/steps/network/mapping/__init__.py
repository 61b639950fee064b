"""Mapping of networks to conductances and their placement on tiles."""
