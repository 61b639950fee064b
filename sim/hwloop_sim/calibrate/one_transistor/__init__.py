"""One transistor."""
