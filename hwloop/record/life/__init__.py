"""The life of an array: pulses, energy and formings of each cell over all its runs.

A ledger is a file of JSON lines beside the records, an entry for each run that gave pulses,
appended when the run ends. Meanwhile the run counts in a file of its own, a memory map, before each
pulse: the operating system keeps it if the process is killed, and the next run appends what it
finds there. The ledger is locked while a run is in progress, so that an array has one run at a
time.
"""

from hwloop.record.life.beginning import beginning_of
from hwloop.record.life.counting import ArrayLife
from hwloop.record.life.entry import CELL, LifeEntry, LifeSoFar
from hwloop.record.life.life_file import NO_NAME, life_path, life_paths, read_life

__all__ = [
    "CELL",
    "NO_NAME",
    "ArrayLife",
    "LifeEntry",
    "LifeSoFar",
    "beginning_of",
    "life_path",
    "life_paths",
    "read_life",
]
