"""What stands for an array, and the guard around it."""
