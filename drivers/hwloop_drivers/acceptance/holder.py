"""A process that opens a station's bench and holds a level on its first row until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hwloop.backend.kind import OpenRequest
from hwloop.station.station import load_station
from hwloop.terminal import say
from hwloop_drivers.acceptance.hosting import resistors_of
from hwloop_drivers.acceptance.trial import trial_array
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.station.addressing import cell_lines


def main(file: Path) -> None:
    """Hold the read voltage on the first cell, say so, and wait for the end of standard input."""
    station = load_station(file)
    array = trial_array(station, resistors_of(station, None))
    request = OpenRequest(array, None, np.random.default_rng(0))
    with (
        open_bench(BenchSettings(station=file), request, watch_lines=False) as bench,
        bench.lend() as (drives, cells),
    ):
        cells.select(cell_lines(station, 0, 0))
        drives.rows.source_voltage = array.read.read_v
        say("held")
        sys.stdin.read()
        drives.rows.source_voltage = 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
