"""The Python of scripts and notebooks: runs, arrays for loops of one's own, and records as data."""

from hwloop.notebook.own_loop import OpenArray, open_array
from hwloop.notebook.record import NotebookRecord
from hwloop.notebook.running import Run, load, run

__all__ = ["NotebookRecord", "OpenArray", "Run", "load", "open_array", "run"]
