"""Every line comes to its output, to ground, and off both: relays, wires, and their order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.operations import ReadMap
from hwloop_drivers.acceptance.findings import METER, Finding, Promise
from hwloop_drivers.acceptance.trial import Trial
from hwloop_drivers.bench.dummy import dummy_faults
from hwloop_drivers.bench.wiring_check import ConnectivityCheck

SOURCE = "wiring of the station file"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield the faults of lines, and what was tried without one."""
    bench, array = trial.bench, trial.array
    shape = array.geometry.shape
    reading = bench.read(ReadMap.every_cell(shape, read_v=trial.read_v, both_polarities=True))
    seen_conductance_s = np.nan_to_num(reading.current_a / trial.read_v)
    test = ConnectivityCheck(bench, bench.circuit, array, seen_conductance_s)
    yield from _judged("a row exchanged with a column", test.crossed())
    dead = test.reach()
    yield from _judged("a line that no current reaches", dead)
    apart = test.apart()
    yield from _judged("a line that stays on an output", apart)
    for line in trial.station.wiring.lines:
        if not line.startswith("gate"):
            yield from _judged(f"{line} stays on ground", test.stays_grounded(line))
    if not dead and not apart:
        yield from _judged("a line that does not come to ground", test.ground())
        yield from _judged("a line that another output does not reach", test.other_outputs())
    yield from _exchanged(trial, seen_conductance_s)


def _exchanged(trial: Trial, seen_conductance_s: np.ndarray) -> Iterator[Finding]:
    """Yield whether lines of a kind are exchanged, which only unequal resistors show."""
    condition = "lines of one kind exchanged among each other"
    ohm = trial.resistor_ohm
    lines = [*map(tuple, ohm), *map(tuple, ohm.T)]
    if max(ohm.shape) > 1 and len(set(lines)) < len(lines):
        promise = Promise("lines", "all lines", condition, SOURCE, METER)
        yield promise.unseen("lines with the same resistors cannot be told apart")
        return
    yield from _judged(condition, dummy_faults(trial.circuit, seen_conductance_s))


def _judged(condition: str, faults: list[str]) -> Iterator[Finding]:
    if not faults:
        promise = Promise("lines", "all lines", condition, SOURCE, METER)
        yield promise.state(expected="none", seen="none", kept=True)
    for fault in faults:
        place, colon, text = fault.partition(": ")
        place, text = (place, text) if colon else ("lines", fault)
        promise = Promise("lines", place, condition, SOURCE, METER)
        yield promise.state(expected="none", seen=text, kept=False)
