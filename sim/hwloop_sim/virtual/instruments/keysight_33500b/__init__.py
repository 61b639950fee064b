"""The virtual Keysight 33500B and 33600A waveform generators."""
