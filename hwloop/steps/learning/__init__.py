"""Training of one or two layers whose weights are the cells of the array."""
