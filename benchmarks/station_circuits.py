"""Random stations against a brute-force circuit: what every cell sees, and what the guard said.

``python -m benchmarks.station_circuits`` draws stations (:mod:`benchmarks.random_stations`), lets
the real drivers pulse, ramp and read cells on the virtual bench of each, in one process, and looks
at every state that the bench goes through. The circuit of each state is solved anew by
:mod:`benchmarks.brute_circuit` from the outputs, the closed relays and the resistors. No cell may
see more than the guard said beforehand, neither by that circuit nor by that of the virtual bench,
and the two must agree. The exit code is 1 otherwise.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import typer

from benchmarks.brute_circuit import Output, line_voltages_v
from benchmarks.random_stations import GATE_V, GENERATORS, READ_V, WIDTH_S, Drawn, draw
from hwloop.array.biasing import stress, worst_half_select_v
from hwloop.array.operations import Operation, PulseMap, Ramp, ReadMap
from hwloop.backend.guard import Guard, line_bounds
from hwloop.errors import HwloopError
from hwloop.station.parts import GROUND
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.station.configured import configured_instruments
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.circuit.circuit import Change
from hwloop_sim.virtual.circuit.nodal import Drive

TOLERANCE = 2e-5
"""Of a voltage: nine digits on the wire, and the leads of the brute-force circuit."""
ROUNDED = 1e-3
"""Of a voltage where two levels may come from generators: each rounds to four digits by itself."""
DEVICE = {"model": "pulse_table", "calibration": "shumilin2024_2V_50ms"}  # resistors take its place


@dataclass
class Tally:
    """Counts of a campaign, and a line about everything that is wrong."""

    states: int = 0
    differ: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    beyond_scheme: int = 0
    closest: float = 0.0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def bench_of(drawn: Drawn) -> Iterator[tuple[Bench, VirtualBench]]:
    """Open the bench of a drawn station over links in this process."""
    settings = SimSettings.parse({"device": DEVICE})
    virtual = VirtualBench(drawn.station, drawn.array, settings, seed=1, dummy=True)
    opened = {}
    for one in configured_instruments(drawn.station):
        kind: InstrumentKind = one.kind
        opened[one.name] = kind.make(InProcessLink(_receiver(virtual, one.name)), one.settings)
        opened[one.name].verify_identity()
    bench = Bench(drawn.station, drawn.array, BenchDrives.of(drawn.station, opened))
    bench.connect(_StandingTime(), {}, [])
    try:
        yield bench, virtual
    finally:
        bench.close()


class _StandingTime:
    """A time that does not pass, for relays that settle at once."""

    def now_s(self) -> float:
        return 0.0

    def sleep(self, duration_s: float, check: object) -> None:
        pass


def _receiver(virtual: VirtualBench, name: str):  # type: ignore[no-untyped-def]
    def receive(message: str) -> str | None:
        with virtual.lock:
            return virtual.instruments[name].receive(message)

    return receive


def operations(rng: random.Random, drawn: Drawn) -> Iterator[Operation]:
    """Draw a pulse or a train of some cells, a ramp of one, and a read of all."""
    shape = drawn.array.geometry.shape
    gate_v = GATE_V if drawn.array.cell == "1T1R" else None
    for count in (1, rng.randint(2, 4)):
        amplitude_v = np.zeros(shape)
        for _ in range(2):
            place = rng.randrange(shape[0]), rng.randrange(shape[1])
            amplitude_v[place] = rng.choice([-1, 1]) * rng.uniform(0.2, 3.0)
        yield PulseMap(amplitude_v, WIDTH_S, count=count, gate_v=gate_v)
    start_v = np.zeros(shape)
    start_v[rng.randrange(shape[0]), rng.randrange(shape[1])] = rng.choice([-1, 1]) * 1.5
    yield Ramp(
        start_v=start_v,
        step_v=np.sign(start_v) * 0.2,
        width_s=WIDTH_S,
        steps=3,
        read_v=READ_V,
        low_a=np.full(shape, 1.0),
        high_a=np.full(shape, 2.0),
        gate_v=gate_v,
    )
    yield ReadMap.every_cell(shape, read_v=READ_V, both_polarities=True)


def said_v(operation: Operation, drawn: Drawn, bench: Bench) -> np.ndarray:
    """Return what the guard takes as the largest magnitude of each cell, (rows, cols)."""
    array = drawn.array
    lines = line_bounds(bench.description, array)
    most_v = np.full(array.geometry.shape, READ_V if isinstance(operation, ReadMap | Ramp) else 0)
    pulses = {PulseMap: lambda one: [one], Ramp: lambda one: list(one.pulses())}.get(
        type(operation)
    )
    for pulse in pulses(operation) if pulses else []:
        magnitude_v = float(np.abs(pulse.amplitude_v).max())
        bound = None if lines is None else lines.stress(magnitude_v)
        seen_v = worst_half_select_v(array.biasing, pulse.amplitude_v, bound)
        most_v = np.maximum(most_v, np.maximum(seen_v, np.abs(pulse.amplitude_v)))
    return most_v


class _States(deque[Change]):
    """The changes of a virtual bench, each with its drives as they were then."""

    def __init__(self, virtual: VirtualBench) -> None:
        super().__init__()
        self._circuit = virtual.circuit
        self.seen: list[tuple[Change, dict[str, Drive]]] = []

    def append(self, change: Change) -> None:
        self.seen.append((change, dict(self._circuit._drives)))  # noqa: SLF001 - as in tests of it


def seen_v(change: Change, drives: dict[str, Drive], drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Return the voltage of each cell by brute force and by the virtual bench, (rows, cols)."""
    station, (rows, cols) = drawn.station, drawn.array.geometry.shape
    on: dict[str, list[str]] = {}
    for wire in station.wires():
        if wire.channel is None or f"{wire.matrix}:{wire.channel}" in change.closed:
            on.setdefault(wire.output, []).append(wire.line)
    gated = np.ones((rows, 1))
    if drawn.array.cell == "1T1R":
        levels_v = {name: drive.volts or 0.0 for name, drive in drives.items()}
        held = {line: levels_v.get(name, 0.0) for name, lines in on.items() for line in lines}
        gated = np.array([[held.get(f"gate{n}", 0.0) >= GATE_V / 2] for n in range(rows)], float)
    outputs = []
    for name, drive in drives.items():
        lines = tuple(line for line in on.get(name, ()) if not line.startswith("gate"))
        if lines and drive.volts is not None:
            series_ohm = drive.series_ohm + station.wiring.series_ohm.get(name, 0.0)
            outputs.append(Output(drive.volts, series_ohm, drive.limit_a, lines))
    grounded = [line for line in on.get(GROUND, ()) if not line.startswith("gate")]
    by_force = line_voltages_v(drawn.conductance_s * gated, outputs, grounded)

    def across(lines_v: dict[str, float]) -> np.ndarray:
        row_v = np.array([lines_v[f"row{n}"] for n in range(rows)])
        col_v = np.array([lines_v[f"col{n}"] for n in range(cols)])
        return (row_v[:, None] - col_v) * gated

    return across(dict(by_force)), across(change.lines_v)


def try_station(rng: random.Random, drawn: Drawn, tally: Tally) -> None:
    """Do every operation on a station, and compare each state that it goes through."""
    with bench_of(drawn) as (bench, virtual):
        guard, states = Guard(bench, drawn.array), _States(virtual)
        virtual.circuit.changes = states
        for operation in operations(rng, drawn):
            most_v = said_v(operation, drawn, bench)
            states.seen.clear()
            try:
                guard.perform(operation)
            except HwloopError as exc:
                tally.refused[str(exc).partition(":")[2][:60]] += 1
                bench.make_safe()
                continue
            _compare(operation, most_v, drawn, states.seen, tally)


def _compare(
    operation: Operation,
    most_v: np.ndarray,
    drawn: Drawn,
    states: list[tuple[Change, dict[str, Drive]]],
    tally: Tally,
) -> None:
    known: set[tuple[object, ...]] = set()
    for change, drives in states:
        state = (*drives.items(), change.closed)
        if state in known:
            continue
        known.add(state)
        by_force_v, virtual_v = seen_v(change, drives, drawn)
        tally.states += 1
        slack_v = TOLERANCE * max(1.0, float(most_v.max()))
        generators = {one.kind for one in drawn.station.instruments.values()} & GENERATORS
        over_v = slack_v + ROUNDED * float(most_v.max()) * bool(generators)
        for name, cell_v in (("brute force", by_force_v), ("virtual bench", virtual_v)):
            over = np.abs(cell_v) > most_v + over_v
            if over.any():
                row, col = (int(n) for n in np.argwhere(over)[0])
                tally.wrong.append(
                    f"{type(operation).__name__}, cell ({row}, {col}), {name}:"
                    f" {abs(cell_v[row, col]):.6g} V, said {most_v[row, col]:.6g} V; {drawn.words}"
                )
        if (np.abs(by_force_v - virtual_v) > slack_v).any() and not change.floating:
            tally.differ += 1
            tally.wrong.append(f"the virtual bench solves another circuit; {drawn.words}")
        if isinstance(operation, PulseMap):
            ideal = stress(drawn.array.biasing)
            plain_v = worst_half_select_v(drawn.array.biasing, operation.amplitude_v, ideal)
            unselected = operation.amplitude_v == 0
            beyond = np.abs(by_force_v) > plain_v + over_v
            tally.beyond_scheme += bool((beyond & unselected).any())
            share = np.abs(by_force_v) / np.maximum(most_v, 1e-3)
            tally.closest = max(tally.closest, float(share[unselected].max(initial=0.0)))


def main(
    stations: Annotated[int, typer.Option(help="How many are drawn.")] = 320,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
) -> None:
    """Try random stations and print what was found."""
    tally, began_s = Tally(), time.monotonic()
    schemes: Counter[str] = Counter()
    for number in range(stations):
        rng = random.Random(f"{seed}-{number}")  # noqa: S311 - no secret
        drawn = draw(rng)
        schemes[drawn.array.biasing] += 1
        before = len(tally.wrong)
        try_station(rng, drawn, tally)
        for line in tally.wrong[before:]:
            print(f"station {number}: {line}", flush=True)
    print(f"stations: {stations} ({', '.join(f'{n} {s}' for s, n in schemes.most_common())})")
    print(f"states: {tally.states}, of which {tally.beyond_scheme} have more on an unselected")
    print(f"cell than the levels of the scheme; closest to the bound: {tally.closest:.3f} of it")
    print(f"operations that instruments or guard refused: {dict(tally.refused)}")
    print(f"virtual bench and brute force differ: {tally.differ}")
    print(f"beyond what the guard said: {len(tally.wrong) - tally.differ}")
    print(f"{time.monotonic() - began_s:.0f} s")
    raise typer.Exit(1 if tally.wrong else 0)


if __name__ == "__main__":
    typer.run(main)
