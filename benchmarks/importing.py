"""Import of large tables beside pandas' reader: processor time and peak memory.

``python -m benchmarks.importing [ROWS]`` writes a table of time, voltage and current (a million
rows if left out) and reads it in turn, in fresh processes: with ``pandas.read_csv``, with
``numpy.loadtxt`` whole, through the table door, and with the whole import. pandas comes with the
extra ``third-party``. The growth of memory is that from before the read to its peak, beside the
bytes of the numbers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

ROWS = 1_000_000
ROUNDS = 3
SIDES = ("pandas", "loadtxt", "door", "import")

_CHILD = """
import json, resource, sys, time
from pathlib import Path
side, path = sys.argv[1], Path(sys.argv[2])
if side == "pandas":
    import pandas
    read = lambda: len(pandas.read_csv(path))
elif side == "loadtxt":
    import numpy
    read = lambda: len(numpy.loadtxt(path, delimiter=",", skiprows=1))
elif side == "door":
    from hwloop.datasets.tables.data_file import DataFile
    read = lambda: DataFile(path).table.rows
else:
    from hwloop import plugins
    from hwloop.datasets.importing import import_measurement
    plugins.load_all(plugins.READERS)
    read = lambda: import_measurement(path, reader=None, given={"source": "x"}).measurement.rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
rows = read()
spent_s = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([rows, spent_s, (peak - before) * 1024]))
"""


def write_table(path: Path, rows: int) -> int:
    """Write the table; returns the bytes of its numbers."""
    rng = np.random.default_rng(0)
    with path.open("w") as stream:
        stream.write("Time (s),Voltage (V),Current (A)\n")
        for first in range(0, rows, 100_000):
            count = min(100_000, rows - first)
            time_s = (first + np.arange(count)) * 1e-3
            volts = np.sin(time_s)
            block = np.stack([time_s, volts, volts * 1e-4 + 1e-8 * rng.normal(size=count)], axis=1)
            np.savetxt(stream, block, fmt=("%.3f", "%.6e", "%.6e"), delimiter=",")
    return rows * 3 * 8


def measure(side: str, path: Path, rows: int) -> tuple[float, int]:
    """Return processor time (seconds) and growth of memory (bytes) of one read in a process."""
    command = [sys.executable, "-c", _CHILD, side, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, spent_s, grown = json.loads(done.stdout)
    if read != rows:
        raise SystemExit(f"{side} read {read} rows of {rows}")
    return spent_s, grown


def main(arguments: Sequence[str]) -> None:
    """Print a line per side: median time, ratio to pandas, growth of memory."""
    rows = int(arguments[0]) if arguments else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        held = write_table(path, rows)
        print(f"{rows} rows, {path.stat().st_size / 1e6:.0f} MB, numbers {held / 1e6:.0f} MB")
        found: dict[str, list[tuple[float, int]]] = {side: [] for side in SIDES}
        for _ in range(ROUNDS if rows <= ROWS else 1):
            for side in SIDES:
                found[side].append(measure(side, path, rows))
    peer_s = median(spent_s for spent_s, _ in found["pandas"])
    for side, runs in found.items():
        spent_s = median(spent_s for spent_s, _ in runs)
        grown = max(grown for _, grown in runs)
        print(
            f"{side:8} {spent_s:7.2f} s, {spent_s / peer_s:5.2f} × pandas, memory grows by"
            f" {grown / 1e6:.0f} MB, {grown / held:.2f} × the numbers"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
