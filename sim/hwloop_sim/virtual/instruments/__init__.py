"""Virtual instruments, one per file."""
