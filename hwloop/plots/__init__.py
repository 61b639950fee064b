"""Figures of the steps, drawn from their records; matplotlib is imported only while drawing."""
