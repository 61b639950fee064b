"""A long run: whether its speed and its memory are the same at the end as at the beginning.

``python -m benchmarks.long_run [--operations N]`` gives pulses and reads in turn to an emulated
2 × 2 array through the guard and the recorder, as a run does, and prints operations per second of
processor time and memory in each tenth, then the ratios of the last tenth to the first. The times
are the machine's; the ratios are what a change of the code must not move.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.array.operations import Operation, PulseMap, ReadMap
from hwloop.backend.guard import Guard
from hwloop.backend.registered import backend_kind
from hwloop.execution.execute import request_for
from hwloop.procedure.procedure import load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.recorder import Recorder
from hwloop.record.writer import RecordWriter

PROCEDURE = Path(__file__).parents[1] / "procedures" / "program_verify_8x8.yaml"
SMALL = (
    "array.rows=2",
    "array.cols=2",
    "array.limits.pulses_per_device=1000000000000",
    "backends.sim.effects=[]",
)
TENTHS = 10
_UP = PulseMap(np.full((2, 2), 3.2), 300e-6)
_DOWN = PulseMap(np.full((2, 2), -2.8), 300e-6)
_READ = ReadMap.every_cell((2, 2), read_v=0.1)
CYCLE: tuple[Operation, ...] = (_UP, _READ, _DOWN, _READ)


@dataclass(frozen=True)
class Tenth:
    """A tenth of a run. ``memory_bytes``: resident at its end."""

    operations: int
    cpu_s: float
    memory_bytes: int

    @property
    def per_s(self) -> float:
        """Operations per second of processor time."""
        return self.operations / self.cpu_s


def long_run(operations: int, path: Path) -> list[Tenth]:
    """Give ``operations``, a multiple of ten, to an emulated array, and record them at ``path``."""
    procedure = load_procedure(PROCEDURE, SMALL)
    kind = backend_kind("sim")
    request, _ = request_for(procedure, seed=1)
    found = []
    with kind.open(procedure.backend_settings(kind), request) as inner:
        writer = RecordWriter(
            path, RunHeader("long", procedure, 1, None, inner.description, "emulated")
        )
        guard = Guard(Recorder(inner, writer), procedure.array)
        for operation in CYCLE:
            guard.perform(operation)  # compiled, and its columns made, before it is timed
        done = len(CYCLE)
        for _ in range(TENTHS):
            began_s = time.process_time()
            for _ in range(operations // TENTHS):
                guard.perform(CYCLE[done % len(CYCLE)])
                done += 1
            taken_s = time.process_time() - began_s
            found.append(Tenth(operations // TENTHS, taken_s, _memory_bytes()))
        writer.finish("completed", pulses=guard.pulses)
    return found


def _memory_bytes() -> int:
    """Return the memory that this process has now, bytes; Linux only, else 0."""
    place = Path("/proc/self/statm")
    if not place.exists():
        return 0
    import resource

    return int(place.read_text().split()[1]) * resource.getpagesize()


def report(tenths: Sequence[Tenth], record_bytes: int) -> list[str]:
    """Return the lines that say how a run went, tenth by tenth, and how it changed."""
    lines = [
        f"tenth {number:2d}: {one.per_s:8.0f} operations/s, {one.memory_bytes / 2**20:7.1f} MiB"
        for number, one in enumerate(tenths, 1)
    ]
    first, last = tenths[0], tenths[-1]
    count = sum(one.operations for one in tenths)
    lines.append(f"record: {record_bytes / count:.0f} bytes an operation, {count} operations")
    lines.append(f"speed, last tenth to first: {last.per_s / first.per_s:.3f}")
    if first.memory_bytes:
        ratio = last.memory_bytes / first.memory_bytes
        grown = (last.memory_bytes - first.memory_bytes) / (count - first.operations)
        lines.append(f"memory, last tenth to first: {ratio:.3f}; {grown:.1f} bytes an operation")
    return lines


def main() -> None:
    """Make the run that the command line asks for, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10**7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.h5"
        tenths = long_run(asked.operations, path)
        for line in report(tenths, path.stat().st_size):
            print(line)


if __name__ == "__main__":
    main()
