"""Steps that train, map and run networks on the array."""
