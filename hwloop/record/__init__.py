"""The record of a run: one HDF5 file, read by :class:`Record`.

The other files of this folder write, replay and compare records.
"""

from hwloop.record.operations import RecordedOperation
from hwloop.record.reader import Record

__all__ = [
    "Record",
    "RecordedOperation",
]
