"""In-situ training by the Manhattan rule."""
