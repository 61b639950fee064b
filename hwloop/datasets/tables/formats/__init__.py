"""Formats of files that are no text: each turns one kind of file into tables."""
