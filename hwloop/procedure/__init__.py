"""Procedure files."""
