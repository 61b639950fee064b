"""Many settings and seeds."""
