"""In-situ training of a perceptron by the Manhattan rule."""
