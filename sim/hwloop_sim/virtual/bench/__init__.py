"""A running virtual bench: its instruments, their servers, faults and control port."""
