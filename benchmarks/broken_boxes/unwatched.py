"""A process that holds a level on the first row as ``hwloop_drivers.acceptance.holder`` does.

It has no watchdog: the drivers are used by themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hwloop.station.station import load_station
from hwloop_drivers.acceptance.hosting import resistors_of
from hwloop_drivers.acceptance.trial import trial_array
from hwloop_drivers.station.configured import configured_instruments
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.virtual_bench import find


def main(file: Path) -> None:
    station = load_station(file)
    link = find(file)
    addresses = link.addresses if link else {}
    opened = {one.name: one.open() for one in configured_instruments(station, addresses)}
    drives = BenchDrives.of(station, opened)
    for instrument in opened.values():
        instrument.reset()
    drives.set_up(station, trial_array(station, resistors_of(station, None)))
    drives.rows.source_enabled = True
    drives.rows.source_voltage = 0.1
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
