"""Cell models: the interfaces of device models and effects, and their composition."""
