"""Parts of Keithley's TSP instruments beside source, meter and relays."""
