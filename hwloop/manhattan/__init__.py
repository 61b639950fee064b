"""The Manhattan rule: its settings, equations, pulse schemes and rows; the step is beside them."""
