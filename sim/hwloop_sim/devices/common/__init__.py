"""Parts that several device models share: state equations, windows, filaments, trains."""
