"""What the step ``program_verify`` is made of: cells at work, their pulses, and how they ended."""
