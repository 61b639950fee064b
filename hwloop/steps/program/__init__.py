"""Program and verify."""
