"""Real instruments: transports, roles, drivers and the bench backend."""
