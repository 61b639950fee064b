"""Device models that follow the physics of a filament: what moves in it, and how hot it gets."""
