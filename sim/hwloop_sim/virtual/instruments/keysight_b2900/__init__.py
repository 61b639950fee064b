"""The virtual Keysight B2900, of one or two channels."""
