"""An array programmed by updates in proportion to its error, and read out by counted spikes."""
