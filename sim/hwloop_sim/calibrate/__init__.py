"""Fits of device models to measured data, compared with data that was left out."""
