"""An output that is off drives nothing, and leaves its line as its driver says: at 0 V, or open."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop_drivers.acceptance.checks.pulses import rests
from hwloop_drivers.acceptance.checks.resistors import OFFSET_A, OFFSET_V
from hwloop_drivers.acceptance.findings import DRIVER, METER, OSCILLOSCOPE, Finding, Promise
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope
from hwloop_drivers.acceptance.trial import Place, Trial
from hwloop_drivers.roles import PulseGenerator, SourceMeter, SwitchMatrix
from hwloop_drivers.safety.make_safe import ground_channels
from hwloop_drivers.station.addressing import Lines, cell_lines
from hwloop_drivers.station.drives import COLUMNS, ROWS, BenchDrives

NOTHING = "roles: off, an output drives nothing"
LEFT = "roles: a source meter that is off holds 0 V, a pulse generator disconnects"
SCREEN = 1.5  # of the read voltage
SAFE = "roles: safe_state switches every output off; the lines are grounded"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield what every output does when it is switched off, and the state of a safe bench."""
    for place in trial.places():
        with trial.bench.lend() as (drives, _):
            rows, meter = drives.rows, drives.meter
        if rows is meter:
            break
        yield from _off(trial, place, ROWS, COLUMNS)
        if isinstance(rows, SourceMeter):
            yield from _off(trial, place, COLUMNS, ROWS)
        elif trial.oscilloscope is not None and place == trial.watched_cell():
            yield from _columns_off(trial, place, trial.oscilloscope)
    yield from _safe(trial)


def _off(trial: Trial, place: Place, key: str, other: str) -> Iterator[Finding]:
    """Switch one output off at a level, and measure with the other one what is left of it."""
    line = f"row{place[0]}" if key == ROWS else f"col{place[1]}"
    lines = cell_lines(trial.station, *place)
    with trial.bench.lend() as (drives, cells):
        source, watching = drives.sources[key], drives.sources[other]
        assert isinstance(watching, SourceMeter)  # noqa: S101 - the caller has seen to it
        cells.select(lines)
        source.source_voltage = trial.read_v
        source.source_enabled = False
        driven_a = watching.measure_current().current_a
        watching.source_voltage = trial.read_v
        left_a = watching.measure_current().current_a
        watching.source_voltage = source.source_voltage = 0.0
        source.source_enabled = True
    where = f"{trial.output(key)} on {line}"
    all_s = float(trial.conductance_s.sum())
    offset_a = OFFSET_V * all_s / max(trial.conductance_s.shape) + OFFSET_A
    yield Promise("off state", where, "off at the read voltage", NOTHING, METER).quantity(
        expected=0.0, seen=driven_a, tolerance=offset_a, unit="A"
    )
    opens = isinstance(source, PulseGenerator)
    open_lines: Lines = {**lines, line: None}
    levels_v = {trial.output(other): trial.read_v}
    held_a = trial.current_a(lines, levels_v, output=trial.output(other))
    open_a = trial.current_a(open_lines, levels_v, output=trial.output(other))
    is_open = abs(left_a - open_a) < abs(left_a - held_a)
    yield Promise("off state", where, "off, its line as it leaves it", LEFT, METER).state(
        expected=_left(opens), seen=_left(is_open), kept=is_open == opens
    )


def _columns_off(trial: Trial, place: Place, oscilloscope: Oscilloscope) -> Iterator[Finding]:
    """Switch the meter off at a level, where the rows have none: the oscilloscope sees its line."""
    line = f"col{place[1]}"
    where = f"{trial.output(COLUMNS)} on {line}"
    with trial.bench.lend() as (drives, cells):
        source = drives.sources[COLUMNS]
        cells.select(cell_lines(trial.station, *place))
        source.source_voltage = trial.read_v
        source.source_enabled = False
        driven_v, unsure_v = oscilloscope.rest_v(SCREEN * trial.read_v)[line]
        drives.rows.source_voltage = trial.read_v
        left_v, _ = oscilloscope.rest_v(SCREEN * trial.read_v)[line]
        drives.rows.source_voltage = source.source_voltage = 0.0
        source.source_enabled = True
    yield Promise("off state", where, "off at the read voltage", NOTHING, OSCILLOSCOPE).quantity(
        expected=0.0, seen=driven_v, tolerance=unsure_v, unit="V"
    )
    column_s = trial.conductance_s[:, place[1]]
    open_v = trial.read_v * float(trial.conductance_s[place] / column_s.sum())
    is_open = abs(left_v - open_v) < abs(left_v)
    yield Promise("off state", where, "off, its line as it leaves it", LEFT, OSCILLOSCOPE).state(
        expected=_left(False), seen=_left(is_open), kept=not is_open
    )


def _left(is_open: bool) -> str:
    return "open" if is_open else "at 0 V"


def _safe(trial: Trial) -> Iterator[Finding]:
    """Make the bench safe, and yield the state that its instruments report then."""
    with trial.bench.lend() as (drives, _):
        pass
    trial.bench.make_safe()
    yield from safe_state(trial, drives, "after the bench was made safe")
    if trial.oscilloscope is not None:
        yield from rests(trial.oscilloscope, "after the bench was made safe")


def safe_state(trial: Trial, drives: BenchDrives, condition: str) -> Iterator[Finding]:
    """Yield that every output is off and every line on ground, as the instruments answer."""
    for key, source in drives.sources.items():
        on = source.source_enabled
        promise = Promise("safe state", trial.output(key), condition, SAFE, DRIVER)
        yield promise.state(expected="off", seen="on" if on else "off", kept=not on)
    for name, instrument in drives.instruments.items():
        if isinstance(instrument, SwitchMatrix):
            wanted = frozenset(ground_channels(trial.station, name))
            closed = instrument.closed
            promise = Promise("safe state", name, condition, SAFE, DRIVER)
            wrong = ", ".join(sorted(closed ^ wanted))
            yield promise.state(
                expected="every line on ground",
                seen=f"otherwise: {wrong}" if wrong else "every line on ground",
                kept=not wrong,
            )
