"""The virtual Keithley 2600B, of one or two channels, in TSP."""
