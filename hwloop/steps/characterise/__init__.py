"""Steps that characterise cells and lines of the array."""
