"""The station file: the instruments of a bench and their wiring."""
