"""The record of a run: writing, reading, replaying, comparing."""
