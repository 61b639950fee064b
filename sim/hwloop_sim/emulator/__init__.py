"""The emulator: a backend of cells, lines, noise and converters."""
