"""Procedure files, and the validated procedures they become."""
