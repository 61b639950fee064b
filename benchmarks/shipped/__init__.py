"""Make the calibrations that ship, and the table of how true they are, from the measured data.

python -m benchmarks.shipped ../shared/data
"""
