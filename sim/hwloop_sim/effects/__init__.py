"""Variability, noise, faults and time: each effect one small file, composed by their order."""
