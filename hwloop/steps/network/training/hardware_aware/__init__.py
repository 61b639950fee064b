"""Training in software that knows the hardware: noise, pruning, levels; on PyTorch."""
