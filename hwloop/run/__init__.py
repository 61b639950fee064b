"""Run a procedure."""
