"""Converters and wires of the tiles during a training."""
