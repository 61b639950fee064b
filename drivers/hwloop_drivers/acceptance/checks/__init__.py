"""The tests of ``hwloop accept``, one kind a file: each yields findings about a bench."""
