"""Device models, one a file; registered in the entry point group ``hwloop.devices``."""
