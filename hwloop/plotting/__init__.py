"""Style and panels shared by all figures."""
