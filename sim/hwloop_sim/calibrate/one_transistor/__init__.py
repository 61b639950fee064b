"""Calibration of the model ``one_transistor`` from pulse sweeps of 1T1R cells."""
