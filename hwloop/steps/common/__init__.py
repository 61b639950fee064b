"""Settings, reads and figures that several steps share."""
