"""The virtual Keithley 2450 SourceMeter, in SCPI and in TSP."""
