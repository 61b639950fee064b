"""Leads of two lines that are exchanged during a training: how often the reads tell.

``python -m benchmarks.exchanges [--seeds N]`` runs trainings on the emulator, exchanges the leads
of two lines before one operation, and judges every read as the bench does: whether the exchange is
noticed, with the right lines, and how many reads of trainings with right leads are doubted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from typing_extensions import override

from hwloop.array.operations import Operation, PulseMap, Reading, ReadMap, VectorBatch
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.wrapper import Wrapper
from hwloop.execution.execute import Follower, execute, request_for
from hwloop.procedure.procedure import load_procedure
from hwloop.steps.array import Array
from hwloop_drivers.bench.exchanged_lines import LEAST_MOVED, KnownCells, exchanged_lines
from hwloop_drivers.bench.line_watch import SCATTERS
from hwloop_sim.emulator.backend import SIM

PROCEDURES = Path(__file__).parents[1] / "procedures"
NAMES = ("manhattan_4x4", "manhattan_4x4_noisy", "prezioso_3x3", "manhattan_4x4_bidirectional")
PAIRS = (("row", 0, 1), ("row", 1, 2), ("col", 0, 1), ("col", 0, 2))
MOMENTS = (5, 7, 10, 13)  # operations before the exchange
NEVER = 10**9
SCATTER = 0.01  # of each read, of ln G


class _Exchanging(Wrapper):
    """Backend whose lines are exchanged from one operation on; it judges reads as the bench does.

    ``noticed``: for each read, the lines that were named.
    """

    def __init__(self, inner: CrossbarBackend, pair: tuple[str, int, int], moment: int) -> None:
        super().__init__(inner)
        self._axis = ("row", "col").index(pair[0]) - 2
        self._order = np.arange(inner.description.shape[self._axis])
        self._order[[*pair[1:]]] = self._order[[*pair[:0:-1]]]
        self._left = moment
        self._rng = np.random.default_rng(0)
        self._seen_conductance_s = np.full(inner.description.shape, np.nan)
        self._up, self._down = np.zeros((2, *inner.description.shape), np.bool_)
        self.noticed: list[str | None] = []

    @override
    def perform(self, operation: Operation) -> Reading | None:
        self._left -= 1
        exchanged = self._left < 0
        reading = self._inner.perform(self._as_wired(operation) if exchanged else operation)
        if isinstance(operation, PulseMap):
            self._up |= operation.amplitude_v > 0
            self._down |= operation.amplitude_v < 0
        if reading is None:
            return None
        if exchanged and (isinstance(operation, ReadMap) or self._axis == -1):
            current_a = np.take(reading.current_a, self._order, self._axis)
            reading = Reading(current_a, np.take(reading.flags, self._order, self._axis))
        if isinstance(operation, ReadMap):
            self._judge(operation, reading)
        return reading

    def _as_wired(self, operation: Operation) -> Operation:
        """Return the operation as it reaches the array, over exchanged leads."""
        match operation:
            case PulseMap():
                amplitude_v = np.take(operation.amplitude_v, self._order, self._axis)
                return replace(operation, amplitude_v=amplitude_v)
            case ReadMap():
                addressed = np.take(operation.addressed, self._order, self._axis)
                return replace(operation, addressed=addressed)
            case VectorBatch() if self._axis == -2:
                return replace(operation, voltage_v=np.take(operation.voltage_v, self._order, -1))
        return operation

    def _judge(self, operation: ReadMap, reading: Reading) -> None:
        scatter = np.exp(SCATTER * self._rng.normal(size=reading.current_a.shape))
        now_conductance_s = reading.current_a / operation.read_v * scatter
        seen_conductance_s = np.where(
            operation.addressed, now_conductance_s, self._seen_conductance_s
        )
        before = KnownCells(self._seen_conductance_s, self._up, self._down)
        moved = max(SCATTERS * SCATTER, LEAST_MOVED)
        self.noticed.append(exchanged_lines(before, seen_conductance_s, moved=moved))
        self._seen_conductance_s = seen_conductance_s
        self._up, self._down = self._up & ~operation.addressed, self._down & ~operation.addressed


def _trained(name: str, seed: int, pair: tuple[str, int, int], moment: int) -> _Exchanging:
    procedure = load_procedure(PROCEDURES / f"{name}.yaml")
    request, rng = request_for(procedure, seed=seed)
    backend = _Exchanging(SIM.open(procedure.backend_settings(SIM), request), pair, moment)
    guard = Guard(backend, procedure.array, None)
    execute(procedure, Array(guard, procedure.array, rng), Follower())
    return backend


def table(seeds: int) -> Iterator[str]:
    """Yield a line for each procedure: what was noticed, and what was doubted for nothing."""
    yield f"{'procedure':30s}{'exchanges':>10s}{'noticed':>9s}{'named right':>12s}{'false':>12s}"
    for name in NAMES:
        right = [_trained(name, seed, PAIRS[0], NEVER) for seed in range(seeds)]
        false = sum(one is not None for run in right for one in run.noticed)
        reads = sum(len(run.noticed) for run in right)
        tries = noticed = named = 0
        for seed in range(seeds):
            for pair in PAIRS:
                for moment in MOMENTS:
                    found = [one for one in _trained(name, seed, pair, moment).noticed if one]
                    tries += 1
                    noticed += bool(found)
                    kind, one, other = pair
                    named += f"{kind}{one} and {kind}{other}" in found[:1]
        yield f"{name:30s}{tries:>10d}{noticed:>9d}{named:>12d}{false:>6d} of {reads}"


def main(seeds: int = 4) -> None:
    """Print the table for trainings with seeds from 0."""
    for line in table(seeds):
        print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
