"""The virtual Keithley 2400 SourceMeter, with its data store."""
