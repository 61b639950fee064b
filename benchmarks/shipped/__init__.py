"""Make the shipped calibrations, and the table of their accuracy, from the measured data.

``python -m benchmarks.shipped ../shared/data``
"""
