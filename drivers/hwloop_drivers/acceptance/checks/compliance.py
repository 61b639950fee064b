"""Limits of the current are kept, and reported on every line, and only where they act."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hwloop.array.operations import Flag
from hwloop.errors import Unsupported
from hwloop.settings.units import format_quantity
from hwloop_drivers.acceptance.checks.resistors import OFFSET_A, OFFSET_V
from hwloop_drivers.acceptance.findings import DRIVER, METER, Finding, Promise
from hwloop_drivers.acceptance.trial import Place, Trial
from hwloop_drivers.bench.readings import measure
from hwloop_drivers.roles import Measured, SourceMeter, SourceSetup, TrainPoint
from hwloop_drivers.station.addressing import cell_lines
from hwloop_drivers.station.drives import COLUMNS, ROWS, BenchDrives

LOW, HIGH = 0.5, 2.0  # limits, as fractions of the current that the resistors draw
LIMIT_PART = 0.03  # accuracy of a limit, beside the tolerance of the station
TRAIN_S = 50e-3
KEPT = "self_test.tolerance, and 3 % of the limit"
REPORTED = "roles: a reading at compliance is NaN with its flag, and tripped says so"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield for every row and column what a limit above and below the current does."""
    for place in trial.places():
        with trial.bench.lend() as (drives, _):
            rows, meter = drives.rows, drives.meter
        if isinstance(rows, SourceMeter):
            yield from _tried(trial, place, ROWS)
        if rows is not meter:
            yield from _tried(trial, place, COLUMNS)


def _tried(trial: Trial, place: Place, key: str) -> Iterator[Finding]:
    line = f"row{place[0]}" if key == ROWS else f"col{place[1]}"
    where = f"{trial.output(key)} on {line}"
    drawn_a = _drawn_a(trial, place, key)
    for part in (LOW, HIGH):
        limit_a = part * drawn_a
        shown = format_quantity(limit_a, "A", digits=3)
        condition = f"limit {shown} where {format_quantity(drawn_a, 'A', digits=3)} would flow"
        try:
            yield from _with_limit(trial, place, key, limit_a, (where, condition, part < 1))
        except Unsupported as exc:
            yield Promise("compliance", where, condition, "", DRIVER).refused(str(exc))


def _drawn_a(trial: Trial, place: Place, key: str) -> float:
    """Return the current out of the limited output with the row at the read voltage."""
    levels_v = {trial.output(ROWS): trial.read_v}
    lines = cell_lines(trial.station, *place)
    return abs(trial.current_a(lines, levels_v, output=trial.output(key)))


def _with_limit(
    trial: Trial, place: Place, key: str, limit_a: float, said: tuple[str, str, bool]
) -> Iterator[Finding]:
    """Set a limit on one output, hold the row at the read voltage, and judge what is reported."""
    where, condition, acts = said
    with trial.bench.lend() as (drives, cells):
        source = drives.sources[key]
        if not isinstance(source, SourceMeter):
            return
        cells.select(cell_lines(trial.station, *place))
        setup = SourceSetup(range_v=_range_v(trial, key), compliance_a=limit_a)
        source.set_up(setup)
        try:
            seen = _Seen(drives, source, trial)
        finally:
            drives.rows.source_voltage = 0.0
            drives.set_up(trial.station, trial.array)
    yield from seen.findings(where, condition, acts=acts)
    yield from _kept(trial, place, key, limit_a, seen, (where, condition, acts))


class _Seen:
    """The answers of the instruments while an output has a limit and the row a level."""

    def __init__(self, drives: BenchDrives, source: SourceMeter, trial: Trial) -> None:
        drives.rows.source_voltage = trial.read_v
        self.tripped = source.tripped
        self.own = source.measure_current()
        self.read, _ = measure(drives, trial.array.limits.current_a)
        self.across = drives.meter.measure_current() if source is drives.rows else None
        rows = drives.rows
        self.rows: Measured | None = None
        if isinstance(rows, SourceMeter) and rows is not source:
            self.rows = rows.measure_current()
        drives.rows.source_voltage = 0.0
        self.train: Flag | None = None
        if source is drives.rows:
            points = [TrainPoint(trial.read_v, TRAIN_S, measure=True)]
            self.train = source.apply_train(points).flags

    def findings(self, where: str, condition: str, *, acts: bool) -> Iterator[Finding]:
        """Yield whether every answer says that the limit acts, or that it does not."""
        said = {
            "it says that it is at its limit": self.tripped,
            "its reading is NaN with the flag": _flagged(self.own),
            "the read of the cell is NaN with the flag": _flagged(self.read),
        }
        if self.train is not None:
            said["its train has the flag"] = bool(self.train & Flag.COMPLIANCE)
        for text, is_so in said.items():
            promise = Promise("compliance flag", where, f"{condition}: {text}", REPORTED, DRIVER)
            yield promise.state(expected=_yes(acts), seen=_yes(is_so), kept=is_so == acts)


def _kept(
    trial: Trial,
    place: Place,
    key: str,
    limit_a: float,
    seen: _Seen,
    said: tuple[str, str, bool],
) -> Iterator[Finding]:
    """Yield the current that flows at the limit, as another instrument measures it."""
    where, condition, acts = said
    if not trial.circuit.is_plain or not acts:
        return
    promise = Promise("compliance", where, condition, KEPT, METER)
    row, col = place
    cell_s = float(trial.conductance_s[place])
    row_s, col_s = float(trial.conductance_s[row].sum()), float(trial.conductance_s[:, col].sum())
    part = trial.tolerance + LIMIT_PART
    if key == ROWS and seen.across is not None:
        expected_a = limit_a * cell_s / row_s
        sign = -1.0 if trial.output(COLUMNS) != "gnd" else 1.0
        yield promise.quantity(
            expected=expected_a,
            seen=sign * seen.across.current_a,
            tolerance=part * expected_a + OFFSET_V * col_s / 10 + OFFSET_A,
            unit="A",
        )
    elif key == COLUMNS and seen.rows is not None:
        col_v = (cell_s * trial.read_v - limit_a) / col_s  # where the limited column settles
        expected_a = trial.read_v * row_s - cell_s * col_v
        yield promise.quantity(
            expected=expected_a,
            seen=seen.rows.current_a,
            tolerance=part * limit_a + trial.tolerance * expected_a + OFFSET_A,
            unit="A",
        )


def _range_v(trial: Trial, key: str) -> float:
    return max(abs(trial.fraction(key)) * trial.amplitude_v, trial.array.limits.read_v)


def _flagged(measured: Measured) -> bool:
    return math.isnan(measured.current_a) and bool(measured.flags & Flag.COMPLIANCE)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
