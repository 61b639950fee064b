"""Reads that verify a cell: one by one, or decoded from patterns over whole columns."""
