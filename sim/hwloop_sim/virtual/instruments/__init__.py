"""Virtual instruments: one file a model, or one folder where a model takes several."""
