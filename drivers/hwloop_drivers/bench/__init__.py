"""The bench as a backend: opening it, its operations, its connectivity check."""
