"""What Keithley's TSP instruments share beside source, meter and relays."""
