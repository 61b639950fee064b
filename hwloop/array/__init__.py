"""The array: its size, limits, biasing and operations."""
