"""Readers of recorded data, one layout a file; entry point group ``hwloop.readers``."""
