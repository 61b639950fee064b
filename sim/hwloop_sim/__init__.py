"""The emulator: device models, variability, noise, calibrations, readers of recorded data."""
