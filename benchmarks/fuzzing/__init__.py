"""Damaged files: how they are made, and what the command line does with them."""
