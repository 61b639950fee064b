"""Write pulses have their amplitude and width, whatever was read before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwloop.array.operations import PulseMap, ReadMap
from hwloop.errors import Unsupported
from hwloop.messages import cell_name
from hwloop.settings.units import format_quantity
from hwloop_drivers.acceptance.findings import DRIVER, OSCILLOSCOPE, Finding, Promise
from hwloop_drivers.acceptance.oscilloscope import LineTrace, Oscilloscope, Shot
from hwloop_drivers.acceptance.trial import Place, Trial, cell_mask
from hwloop_drivers.acceptance.waveform import TracePulse, level_after, level_during, pulses_in
from hwloop_drivers.roles import SourceMeter, TrainPoint
from hwloop_drivers.station.addressing import cell_lines
from hwloop_drivers.station.drives import COLUMNS, ROWS

SLOW_S = (1e-3, 2e-3, 5e-3, 10e-3, 50e-3)
FAST_S = (1e-6, 100e-6)  # of a pulse generator, beside the others
USUAL_S, READ_S = 10e-3, 50e-3
SOURCE_PART = 0.01  # amplitude of an output: 33500B 1 %, source-measure units below 0.1 %
WIDTH_PART, WIDTH_S = 0.02, 50e-6
GENERATOR_WIDTH_S = 50e-9
EDGE, BEYOND = 0.13, 1.13  # of the level, at the edges of the screen
FLAT_V = 0.2  # of the screen of a line that stays at 0 V
WINDOW = 1.5  # of the pulses
COUNT = 3
DELAY_S, DELAY_PART = 0.2, 0.8  # longest from the column's level to the pulse; of a window
LATCHED = "roles: the flag of a train is that of the limit, as the instrument latched it"
TRIGGER = 0.15  # of the level: a pulse that a limit keeps low triggers too


@dataclass(frozen=True)
class _Asked:
    """Pulses on a cell: ``before``: what was done before, in the words of the page."""

    place: Place
    amplitude_v: float
    width_s: float
    count: int
    before: str

    def __str__(self) -> str:
        times = f"{self.count} × " if self.count > 1 else ""
        volts, width = format_quantity(self.amplitude_v, "V"), format_quantity(self.width_s, "s")
        return f"{times}{volts}, {width}, {self.before}"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield what the oscilloscope sees of pulses, and what the instruments read in them."""
    yield from _in_trains(trial)
    place, oscilloscope = trial.watched_cell(), trial.oscilloscope
    if place is None or oscilloscope is None:
        for test in ("pulse amplitude", "pulse width", "held level", "return to 0 V"):
            promise = Promise(test, "every cell", "write pulses", "", "")
            yield promise.unseen("no oscilloscope on a row and a column of the array")
        return
    for sign in (1.0, -1.0):
        for read_v in trial.levels_before(place):
            read = ReadMap(cell_mask(trial, place), read_v=read_v, both_polarities=False)
            current_a = float(trial.bench.read(read).current_a[place])
            before = f"after a read of {format_quantity(abs(current_a), 'A', digits=2)}"
            asked = _Asked(place, sign * trial.amplitude_v, USUAL_S, 1, before)
            yield from _shown(trial, oscilloscope, asked)
    for width_s in _widths(trial):
        asked = _Asked(place, trial.amplitude_v, width_s, 1, "after a pulse")
        yield from _shown(trial, oscilloscope, asked)
    asked = _Asked(place, -trial.amplitude_v, USUAL_S, COUNT, "after a pulse")
    yield from _shown(trial, oscilloscope, asked)
    yield from _delay(trial, oscilloscope, place)


def _widths(trial: Trial) -> tuple[float, ...]:
    with trial.bench.lend() as (drives, _):
        generator = not isinstance(drives.rows, SourceMeter)
    return (*FAST_S, *SLOW_S) if generator else SLOW_S


def _shown(trial: Trial, oscilloscope: Oscilloscope, asked: _Asked) -> Iterator[Finding]:
    """Apply pulses to the cell with the probes, and yield how they look."""
    row, col = asked.place
    row_v = trial.line_v(asked.place, asked.amplitude_v, ROWS)
    col_v = trial.line_v(asked.place, asked.amplitude_v, COLUMNS)
    amplitude_v = np.zeros(trial.array.geometry.shape)
    amplitude_v[asked.place] = asked.amplitude_v
    pulse = PulseMap(amplitude_v, asked.width_s, count=asked.count, gate_v=trial.array.read.gate_v)
    where = f"{trial.output(ROWS)} on row{row}"
    try:
        trial.bench.check(pulse)
    except Unsupported as exc:
        yield Promise("pulse width", where, str(asked), "", DRIVER).refused(str(exc))
        return
    shot = Shot(
        {f"row{row}": _screen(row_v), f"col{col}": _screen(col_v)},
        WINDOW * asked.width_s * (2 * asked.count - 1),
        trigger=f"row{row}",
        level_v=TRIGGER * row_v,
    )
    oscilloscope.arm(shot)
    trial.bench.pulse(pulse)
    traces = oscilloscope.capture(shot)
    found = pulses_in(traces[f"row{row}"], row_v) if traces else []
    count = Promise("pulse count", where, str(asked), "the pulses that were asked", OSCILLOSCOPE)
    yield count.state(
        expected=f"{asked.count}", seen=f"{len(found)}", kept=len(found) == asked.count
    )
    if found:
        yield from _rows(trial, oscilloscope, asked, traces[f"row{row}"], found)
        yield from _columns(trial, oscilloscope, asked, traces[f"col{col}"], found)
    yield from rests(oscilloscope, f"after {asked}")


def _delay(trial: Trial, oscilloscope: Oscilloscope, place: Place) -> Iterator[Finding]:
    """Yield how long the column holds its level before the row makes its pulse."""
    row, col = place
    row_v = trial.line_v(place, trial.amplitude_v, ROWS)
    col_v = trial.line_v(place, trial.amplitude_v, COLUMNS)
    if not col_v:
        return
    screens_v = {f"row{row}": _screen(row_v), f"col{col}": _screen(col_v)}
    shot = Shot(screens_v, DELAY_S / DELAY_PART, trigger=f"col{col}", level_v=TRIGGER * col_v)
    amplitude_v = np.where(cell_mask(trial, place), trial.amplitude_v, 0.0)
    oscilloscope.arm(shot)
    trial.bench.pulse(PulseMap(amplitude_v, USUAL_S, gate_v=trial.array.read.gate_v))
    traces = oscilloscope.capture(shot)
    found = pulses_in(traces[f"row{row}"], row_v) if traces else []
    where = f"{trial.output(ROWS)} on row{row}, {trial.output(COLUMNS)} on col{col}"
    condition = f"{format_quantity(trial.amplitude_v, 'V')}, {format_quantity(USUAL_S, 's')}"
    source = "the level of the column stands as long as the messages of one pulse take"
    yield Promise("delay of a pulse", where, condition, source, OSCILLOSCOPE).quantity(
        expected=0.0, seen=found[0].begin_s if found else np.inf, tolerance=DELAY_S, unit="s"
    )


def _screen(level_v: float) -> tuple[float, float]:
    """Return the edges of a screen on which a pulse of this level stands, volts."""
    if abs(level_v) < FLAT_V / 2:
        return -FLAT_V, FLAT_V
    low_v, high_v = sorted((-EDGE * level_v, BEYOND * level_v))
    return low_v, high_v


def _rows(
    trial: Trial,
    oscilloscope: Oscilloscope,
    asked: _Asked,
    trace: LineTrace,
    found: list[TracePulse],
) -> Iterator[Finding]:
    where = f"{trial.output(ROWS)} on row{asked.place[0]}"
    expected_v = trial.line_v(asked.place, asked.amplitude_v, ROWS)
    unsure_v = oscilloscope.accuracy * trace.full_scale_v
    worst = max(found, key=lambda pulse: abs(pulse.level_v - expected_v))
    yield Promise(
        "pulse amplitude", where, str(asked), _source(oscilloscope), OSCILLOSCOPE
    ).quantity(
        expected=expected_v,
        seen=worst.level_v,
        tolerance=unsure_v + SOURCE_PART * abs(expected_v),
        unit="V",
    )
    longest = max(found, key=lambda pulse: abs(pulse.width_s - asked.width_s))
    bound_s = width_tolerance_s(trial, asked.width_s) + 2 * trace.step_s
    source = "2 % and the overhead of a step; two points of the oscilloscope"
    yield Promise("pulse width", where, str(asked), source, OSCILLOSCOPE).quantity(
        expected=asked.width_s, seen=longest.width_s, tolerance=bound_s, unit="s"
    )
    if len(found) > 1:
        periods_s = np.diff([pulse.begin_s for pulse in found])
        period_s = float(periods_s[np.abs(periods_s - 2 * asked.width_s).argmax()])
        yield Promise("pulse period", where, str(asked), source, OSCILLOSCOPE).quantity(
            expected=2 * asked.width_s, seen=period_s, tolerance=2 * bound_s, unit="s"
        )
    yield Promise("return to 0 V", where, str(asked), _source(oscilloscope), OSCILLOSCOPE).quantity(
        expected=0.0, seen=level_after(trace, found[-1]), tolerance=unsure_v, unit="V"
    )


def _columns(
    trial: Trial,
    oscilloscope: Oscilloscope,
    asked: _Asked,
    trace: LineTrace,
    found: list[TracePulse],
) -> Iterator[Finding]:
    where = f"{trial.output(COLUMNS)} on col{asked.place[1]}"
    expected_v = trial.line_v(asked.place, asked.amplitude_v, COLUMNS)
    levels_v = [level_during(trace, pulse) for pulse in found]
    unsure_v = oscilloscope.accuracy * trace.full_scale_v
    yield Promise("held level", where, str(asked), _source(oscilloscope), OSCILLOSCOPE).quantity(
        expected=expected_v,
        seen=max(levels_v, key=lambda volts: abs(volts - expected_v)),
        tolerance=unsure_v + SOURCE_PART * abs(expected_v),
        unit="V",
    )


def rests(oscilloscope: Oscilloscope, condition: str) -> Iterator[Finding]:
    """Yield that every line with a probe is at 0 V now."""
    source = f"{oscilloscope.accuracy:.0%} of full scale of the oscilloscope"
    for line, (volts, unsure_v) in oscilloscope.rest_v(FLAT_V).items():
        promise = Promise("rest at 0 V", line, condition, source, OSCILLOSCOPE)
        yield promise.quantity(expected=0.0, seen=volts, tolerance=unsure_v, unit="V")


def width_tolerance_s(trial: Trial, width_s: float) -> float:
    """Return by how much the width of a pulse of the rows may differ, seconds."""
    with trial.bench.lend() as (drives, _):
        own_s = WIDTH_S if isinstance(drives.rows, SourceMeter) else GENERATOR_WIDTH_S
    return WIDTH_PART * width_s + own_s


def _source(oscilloscope: Oscilloscope) -> str:
    return f"{oscilloscope.accuracy:.0%} of full scale of the oscilloscope, 1 % of the output"


def _in_trains(trial: Trial) -> Iterator[Finding]:
    """Yield the currents that the row's own meter reads in trains, where it has one."""
    source = "self_test.tolerance of the station"
    for place in trial.places():
        where = f"{trial.output(ROWS)} on row{place[0]}, {trial.output(COLUMNS)} on col{place[1]}"
        levels_v = trial.levels_v(trial.amplitude_v)
        lines = cell_lines(trial.station, *place)
        for read_v in trial.levels_before(place):
            read = ReadMap(cell_mask(trial, place), read_v=read_v, both_polarities=False)
            current_a = float(trial.bench.read(read).current_a[place])
            with trial.bench.lend() as (drives, cells):
                rows = drives.rows
                if not isinstance(rows, SourceMeter):
                    promise = Promise("current in a pulse", where, "in a train", "", "")
                    yield promise.unseen(f"{trial.output(ROWS)} has no meter")
                    return
                cells.select(lines)
                point = TrainPoint(levels_v[trial.output(ROWS)], READ_S, measure=True)
                with drives.held(cells.held_v(trial.amplitude_v)):
                    train = rows.apply_train([point])
            expected_a = trial.current_a(lines, levels_v, output=trial.output(ROWS))
            before = f"after a read of {format_quantity(abs(current_a), 'A', digits=2)}"
            condition = f"{format_quantity(trial.amplitude_v, 'V')} on {cell_name(place)}, {before}"
            yield Promise("current in a pulse", where, condition, source, DRIVER).quantity(
                expected=expected_a,
                seen=train.readings[0].current_a,
                tolerance=trial.tolerance * abs(expected_a),
                unit="A",
            )
            yield Promise("flag of a pulse", where, condition, LATCHED, DRIVER).state(
                expected="no flag", seen=train.flags.name or "no flag", kept=not train.flags
            )
