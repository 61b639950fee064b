"""Faults of the wiring during a run, on every virtual station: noticed when, and named how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from hwloop.array.operations import Flag, PulseMap, ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import InstrumentFault
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop.types import FloatArray
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

SHAPE = (4, 4)
TWO_CHANNELS = next(path for path in STATIONS if path.stem == "virtual_2602b_707b")
NOTICED = "the wiring has changed during the run: "


@pytest.fixture(params=STATIONS, ids=lambda path: path.stem)
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy_station(request.param, tmp_path)


@contextmanager
def _bench(
    station: Path, *, steps: Sequence[dict[str, str]] = ()
) -> Iterator[tuple[Bench, VirtualBench]]:
    procedure = load_procedure(PROCEDURE)
    resolved = {**procedure.resolved, "steps": steps} if steps else procedure.resolved
    request = OpenRequest(procedure.array, None, np.random.default_rng(0), procedure=resolved)
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings(station=station), request) as bench,
    ):
        yield bench, virtual


def _fault(station: Path, kind: str, line: str, other: str) -> Fault:
    """``other``: the line to exchange it with, or the output or ground whose relay is stuck."""
    if kind in {"break", "exchange"}:
        return Fault(kind=kind, line=line, other=other)
    wires = load_station(station).wires()
    wire = next(one for one in wires if one.line == line and one.output == other)
    return Fault(kind=kind, instrument=wire.matrix or "", channel=wire.channel or "")


def _update(bench: Bench) -> None:
    """Pulse every cell and read every cell, as a training does."""
    signs = np.where(np.indices(SHAPE).sum(axis=0) % 3 == 0, 1.0, -1.0)
    bench.pulse(PulseMap(0.8 * signs, 10e-3))
    _read(bench)


def _read(bench: Bench) -> None:
    bench.read(ReadMap.every_cell(SHAPE, read_v=0.05))


def _updates_until_noticed(bench: Bench, match: str, most: int) -> int:
    for number in range(1, most + 1):
        message = _message_of(bench)
        if message:
            assert match in message
            return number
    raise AssertionError(f"not noticed within {most} updates")


def _message_of(bench: Bench) -> str:
    try:
        _update(bench)
    except InstrumentFault as exc:
        return str(exc)
    return ""


def _row_output(station: Path) -> str:
    return load_station(station).wiring.drive.rows


CASES = [
    ("break", "row2", "", "row2: no current through any of its cells"),
    ("break", "col1", "", "col1: no current through any of its cells"),
    ("stick_open", "row2", "output", "row2: no current through any of its cells"),
    ("stick_closed", "row2", "output", "row2: stays on"),
    ("stick_closed", "row2", "gnd", "row2: "),
    ("stick_closed", "col1", "gnd", "col1: no current through any of its cells"),
    ("exchange", "row1", "row3", "row1 and row3 read as each other did before"),
    ("exchange", "row1", "col2", "row1 and col2 are exchanged"),
]


@pytest.mark.parametrize(("kind", "line", "other", "said"), CASES)
def test_a_fault_in_mid_training_is_named_within_one_update(
    station: Path, kind: str, line: str, other: str, said: str
) -> None:
    other = _row_output(station) if other == "output" else other
    with _bench(station) as (bench, virtual):
        _read(bench)
        _update(bench)
        virtual.add_fault(_fault(station, kind, line, other))
        assert _updates_until_noticed(bench, NOTICED + said, 1) == 1


def test_a_line_that_no_longer_comes_to_ground_is_noticed_though_reads_do_not_show_it(
    station: Path,
) -> None:
    with _bench(station) as (bench, virtual):
        _read(bench)
        _update(bench)
        virtual.add_fault(_fault(station, "stick_open", "row2", "gnd"))
        assert _updates_until_noticed(bench, NOTICED + "row2: floats when", 8) <= 8


def test_the_lines_are_checked_before_the_first_pulse(station: Path) -> None:
    with _bench(station) as (bench, virtual):
        virtual.add_fault(_fault(station, "stick_open", "col1", "gnd"))
        _read(bench)
        with pytest.raises(InstrumentFault, match="col1: floats when it should be on ground"):
            _update(bench)
        assert virtual.circuit.pulses.sum() == 0


def test_checks_stay_at_the_read_voltage_and_pulse_no_cell(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        _read(bench)
        before_s = virtual.device.conductance_s.copy()
        virtual.circuit.changes.clear()
        watch = bench._lines
        assert watch is not None
        watch._look_at_relays()
        watch._look_at_all(watch._known())
        levels = [abs(v) for one in virtual.circuit.changes for v in one.lines_v.values()]
        assert 0 < max(levels) <= 0.05 * 1.001
        assert virtual.circuit.pulses.sum() == 0
        np.testing.assert_array_equal(virtual.device.conductance_s, before_s)


def test_a_cell_read_alone_stands_for_its_line_after_others_were_asked(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        _read(bench)
        virtual.add_fault(_fault(station, "break", "row2", ""))
        one = np.zeros(SHAPE, np.bool_)
        one[2, 1] = True
        with pytest.raises(InstrumentFault, match="row2: no current through any of its cells"):
            bench.read(ReadMap(one, 0.05))


class _OneOpenCell:
    """The cells of a virtual bench, one of which has become an open circuit."""

    def __init__(self, cells: Any, place: tuple[int, int]) -> None:
        self._cells, self._place = cells, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cells, name)

    @property
    def conductance_s(self) -> FloatArray:
        conductance_s: FloatArray = self._cells.conductance_s.copy()
        conductance_s[self._place] = 0.0
        return conductance_s


def test_a_row_that_stays_on_ground_is_told_from_one_that_draws_too_much(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        _read(bench)
        virtual.add_fault(_fault(station, "stick_closed", "row2", "gnd"))
        with pytest.raises(InstrumentFault, match="row2: stays on ground when it should be off it"):
            _read(bench)


def test_a_row_that_draws_more_than_the_compliance_is_no_fault(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        _read(bench)
        virtual.circuit._device = _GoodRow(virtual.device, 2)  # type: ignore[assignment]
        virtual.circuit._solution = None
        reading = bench.read(ReadMap.every_cell(SHAPE, read_v=0.05))
        # 4 · 20 mS at 50 mV draw 4 mA from the row, whose compliance is 3 mA; one cell draws 1 mA.
        assert (reading.flags[2] == Flag.COMPLIANCE).all()
        assert not reading.flags[[0, 1, 3]].any()


class _GoodRow:
    """The cells of a virtual bench, one row of which conducts well."""

    def __init__(self, cells: Any, row: int) -> None:
        self._cells, self._row = cells, row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cells, name)

    @property
    def conductance_s(self) -> FloatArray:
        conductance_s: FloatArray = self._cells.conductance_s.copy()
        conductance_s[self._row] = 20e-3
        return conductance_s


class _AlikeCells(_GoodRow):
    """The cells of a virtual bench, of which those of ``row`` conduct 12 % more than the others."""

    @property
    @override
    def conductance_s(self) -> FloatArray:
        conductance_s: FloatArray = np.full_like(self._cells.conductance_s, 50e-6)
        conductance_s[self._row] *= 1.12
        return conductance_s


@pytest.mark.parametrize("reads", [1, 2])
def test_rows_that_differ_by_less_than_a_fault_does_are_told_once_reads_are_known_to_repeat(
    tmp_path: Path, reads: int
) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        virtual.circuit._device = _AlikeCells(virtual.device, 1)  # type: ignore[assignment]
        virtual.circuit._solution = None
        for _ in range(reads):
            _read(bench)
        virtual.add_fault(_fault(station, "exchange", "row1", "row3"))
        if reads == 1:
            _read(bench)
            return
        with pytest.raises(InstrumentFault, match="row1 and row3 read as each other did before"):
            _read(bench)


def test_one_cell_that_does_not_conduct_is_no_fault(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        _read(bench)
        virtual.circuit._device = _OneOpenCell(virtual.device, (2, 1))  # type: ignore[assignment]
        virtual.circuit._solution = None
        for _ in range(3):
            _update(bench)
        reading = bench.read(ReadMap.every_cell(SHAPE, read_v=0.05))
        assert reading.current_a[2, 1] == 0.0
        assert np.count_nonzero(reading.current_a) == 15


@pytest.mark.parametrize("forms", [True, False])
def test_a_row_that_never_conducted_ends_a_run_unless_it_forms_cells(
    tmp_path: Path, forms: bool
) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    steps = [{"step": "form"}] if forms else [{"step": "train_manhattan"}]
    with _bench(station, steps=steps) as (bench, virtual):
        virtual.add_fault(_fault(station, "break", "row2", ""))
        if forms:
            _read(bench)
            return
        with pytest.raises(InstrumentFault, match="row2: no current"):
            _read(bench)


def test_an_array_without_any_conducting_cell_is_left_alone(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, virtual):
        for line in range(4):
            virtual.add_fault(_fault(station, "break", f"row{line}", ""))
        _read(bench)
        _update(bench)


def test_checks_take_about_a_tenth_of_the_measurements_of_a_run(tmp_path: Path) -> None:
    station = copy_station(TWO_CHANNELS, tmp_path)
    with _bench(station) as (bench, _):
        measured: list[int] = []
        probe = bench._cells
        single = probe.current_a

        def counted(lines: object, levels_v: object) -> object:
            measured.append(1)
            return single(lines, levels_v)  # type: ignore[arg-type]

        probe.current_a = counted  # type: ignore[method-assign,assignment]
        for _ in range(60):
            _update(bench)
        cells = 60 * 2 * 16  # pulses and reads
        assert 0.05 * cells < len(measured) < 0.125 * cells
