"""Safety of a bench: making it safe, and the watchdog that does so when a run is killed."""
