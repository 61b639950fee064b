"""Command languages of virtual instruments: SCPI and TSP."""
