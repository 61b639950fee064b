"""A recording is opened: an imported file, or the record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwloop.backend.origin import Origin
from hwloop.datasets.measurement import Kind, Measurement, is_measurement, read_measurement
from hwloop.record.reader import Record
from hwloop.recordings.of_record import measurements_of


@dataclass(frozen=True)
class Recording:
    """Measurements of a recording, by kind, with their origin.

    ``imported``: whether it is a file that ``hwloop import`` wrote; its numbers are measured.
    """

    path: Path
    origin: Origin
    imported: bool
    measured: Mapping[Kind, Measurement]

    @property
    def provenance(self) -> str:
        """Return the origin of the numbers in words, such as "measured, imported"."""
        return f"{self.origin}, imported" if self.imported else self.origin


def open_recording(path: Path) -> Recording:
    """Read an imported file or a record.

    Raises :class:`hwloop.errors.ConfigError` or :class:`hwloop.errors.RecordError` with the file
    where it is neither, or damaged.
    """
    if is_measurement(path):
        measurement = read_measurement(path)
        return Recording(path, "measured", True, {measurement.kind: measurement})
    with Record(path) as record:
        return Recording(path, record.origin, False, measurements_of(record))
