"""A run ends safe and recorded, however it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop import plugins
from hwloop.array.operations import Operation, PulseMap, Ramp, Reading, Wait
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Event
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.errors import (
    ConfigError,
    ConnectionLost,
    HwloopError,
    LimitError,
    NotConverged,
    RecordError,
    StepError,
    Stopped,
)
from hwloop.execution import preview
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import PreparedStep, Procedure
from hwloop.record import writer as record_writer
from hwloop.record.life import ArrayLife, read_life
from hwloop.record.reader import Record
from hwloop.record.writer import RecordWriter
from hwloop.settings.model import Settings
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from tests.hwloop.spy import SpyBackend, array_settings


@dataclass(frozen=True, eq=False)
class Counted(Row):
    """A row with a number."""

    number: int = column("1", "a number")


class StepSettings(Settings):
    """What the probe step does."""

    rows: int = 3
    reached: bool = True


def step_of(action: Any = None) -> Step[StepSettings]:
    def run(settings: StepSettings, array: Array) -> Iterator[Yield]:
        for number in range(settings.rows):
            array.backend.wait(Wait(1.0))
            if action is not None:
                action(number, array)
            yield Counted(number)
        yield Outcome(settings.reached, "counted to the end")

    def plan(settings: StepSettings, array: ArraySettings) -> Plan:
        return Plan([PlannedOperation(Wait(1.0), settings.rows)], rows=settings.rows)

    return Step("count", "Count", StepSettings, run, plan)


def procedure_of(step: Step[StepSettings], **settings: object) -> Procedure:
    parsed = StepSettings.parse(settings)
    array = array_settings()
    prepared = PreparedStep("count", step, parsed, step.plan(parsed, array))
    return Procedure("probe", "", 1, array, {}, (prepared,), "text", ())


@pytest.fixture
def worn(spy: SpyBackend, monkeypatch: pytest.MonkeyPatch) -> SpyBackend:
    """The spy as a backend that touches hardware, so that its array has a life."""

    def load(group: str, name: str) -> BackendKind[Settings]:
        return BackendKind("spy", "", Settings, lambda _s, _r: spy, touches_hardware=True)

    monkeypatch.setattr(plugins, "load", load)
    return spy


def pulsing(name: str | None, *, pulses: int = 1, **changes: object) -> Procedure:
    """Return a procedure that gives cell (1, 3) of the array so many pulses, one a row."""

    def pulse(number: int, array: Array) -> None:
        if number < pulses:
            amplitude_v = np.zeros((2, 4))
            amplitude_v[1, 3] = 2.0
            array.backend.pulse(PulseMap(amplitude_v, 1e-3))

    procedure = procedure_of(step_of(pulse))
    return replace(procedure, array=array_settings(name=name, **changes))


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> SpyBackend:
    backend = SpyBackend()

    def load(group: str, name: str) -> BackendKind[Settings]:
        return BackendKind("spy", "", Settings, lambda _settings, _request: backend)

    monkeypatch.setattr(plugins, "load", load)
    return backend


def run(procedure: Procedure, path: Path, observer: Quiet | None = None) -> Any:
    return run_procedure(procedure, RunOptions("spy", path), observer)


def test_a_run_that_ends_in_order_is_safe_closed_and_complete(
    spy: SpyBackend, tmp_path: Path
) -> None:
    result = run(procedure_of(step_of()), tmp_path / "a.h5")
    result.raise_unless_reached()
    assert (spy.made_safe, spy.closed) == (1, 1)
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "completed"
        assert record.results("count")["number"].tolist() == [0, 1, 2]
        assert record.outcome("count") == (True, "counted to the end")
        # A spy cell has 1 µS until it is pulsed.
        np.testing.assert_allclose(record.array("final_conductance_s"), 1e-6)


def test_an_aim_that_was_missed_is_a_result(spy: SpyBackend, tmp_path: Path) -> None:
    result = run(procedure_of(step_of(), reached=False), tmp_path / "a.h5")
    assert result.status == "completed"
    with pytest.raises(NotConverged, match="count: counted to the end"):
        result.raise_unless_reached()


@pytest.mark.parametrize("error", [ConnectionLost("smu: gone"), ValueError("a bug"), SystemExit(3)])
def test_an_error_in_a_step_leaves_the_array_safe_and_the_record_whole(
    error: BaseException, spy: SpyBackend, tmp_path: Path
) -> None:
    def fail(number: int, array: Array) -> None:
        if number == 2:
            raise error

    with pytest.raises(type(error)):
        run(procedure_of(step_of(fail)), tmp_path / "a.h5")
    assert (spy.made_safe, spy.closed) == (1, 1)
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "failed"
        assert record.results("count")["number"].tolist() == [0, 1]
        assert str(error) in record.log[-1][2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_two_rows(
    number: signal.Signals, spy: SpyBackend, tmp_path: Path
) -> None:
    before = signal.getsignal(number)

    def interrupt(row: int, array: Array) -> None:
        if row == 1:
            os.kill(os.getpid(), number)

    result = run(procedure_of(step_of(interrupt), rows=50), tmp_path / "a.h5")
    with pytest.raises(Stopped):
        result.raise_unless_reached()
    assert (spy.made_safe, spy.closed) == (1, 1)
    assert signal.getsignal(number) == before
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "stopped"
        # The row in progress was finished and kept.
        assert record.results("count")["number"].tolist() == [0, 1]
        assert number.name in record.log[-1][2]


def test_a_second_interrupt_does_not_wait_for_the_row(spy: SpyBackend, tmp_path: Path) -> None:
    def insist(row: int, array: Array) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    assert run(procedure_of(step_of(insist)), tmp_path / "a.h5").status == "stopped"
    assert (spy.made_safe, spy.closed) == (1, 1)


class _Insisting(RecordWriter):
    """A writer during each of whose calls somebody presses Ctrl-C twice."""

    def operation(self, *args: Any, **named: Any) -> None:
        self._insist()
        super().operation(*args, **named)

    def row(self, *args: Any, **named: Any) -> None:
        self._insist()
        super().row(*args, **named)

    def log(self, *args: Any, **named: Any) -> None:
        self._insist()
        super().log(*args, **named)

    def finish(self, *args: Any, **named: Any) -> None:
        self._insist()
        super().finish(*args, **named)

    def _insist(self) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)


def test_signals_while_the_record_is_written_break_nothing_off(
    spy: SpyBackend, tmp_path: Path
) -> None:
    def work(row: int, array: Array) -> None:
        array.backend.wait(Wait(2.0))

    path = tmp_path / "a.h5"
    options = RunOptions("spy", path)
    result = run_procedure(procedure_of(step_of(work), rows=50), options, sink=_Insisting)
    assert result.status == "stopped"
    assert (spy.made_safe, spy.closed) == (1, 1)
    with Record(path) as record:
        assert record.status == "stopped"
        assert len(record) == 1  # the read of all cells; the next operation was not begun
        assert "stopped: SIGINT" in record.log[-1][2]


def test_a_refused_operation_is_logged_and_never_reaches_the_backend(
    spy: SpyBackend, tmp_path: Path
) -> None:
    def overdrive(row: int, array: Array) -> None:
        array.backend.pulse(PulseMap(np.full((2, 4), 5.0), 1e-3))

    with pytest.raises(LimitError):
        run(procedure_of(step_of(overdrive)), tmp_path / "a.h5")
    assert not any(isinstance(operation, PulseMap) for operation in spy.asked)
    with Record(tmp_path / "a.h5") as record:
        assert "LimitError: cell (0, 0): amplitude_v 5" in record.log[-1][2]


def test_a_plan_beyond_the_limits_is_refused_before_anything_is_opened(
    spy: SpyBackend, tmp_path: Path
) -> None:
    procedure = procedure_of(step_of())
    (prepared,) = procedure.steps
    wild = Plan([PlannedOperation(PulseMap(np.full((2, 4), 5.0), 1e-3), 1)], rows=1)
    prepared = PreparedStep("count", prepared.step, prepared.settings, wild)
    procedure = Procedure("probe", "", 1, procedure.array, {}, (prepared,), "", ())
    with pytest.raises(LimitError, match="count: cell"):
        run(procedure, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    assert spy.asked == []


def test_an_existing_record_is_refused_before_the_array_is_asked_anything(
    spy: SpyBackend, tmp_path: Path
) -> None:
    (tmp_path / "a.h5").write_text("something of value")
    with pytest.raises(RecordError, match="exists already"):
        run(procedure_of(step_of()), tmp_path / "a.h5")
    assert spy.asked == []
    assert spy.closed == 1


def test_a_library_that_cannot_be_loaded_ends_a_run_before_anything_is_opened(
    spy: SpyBackend, tmp_path: Path
) -> None:
    step = replace(step_of(), libraries=("json", "no_such_library"))
    with pytest.raises(StepError, match="count: cannot load no_such_library"):
        run(procedure_of(step), tmp_path / "a.h5")
    assert spy.closed == 0  # it was not even opened
    assert not (tmp_path / "a.h5").exists()


def test_a_failure_to_make_safe_is_raised_logged_and_still_closes(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ConnectionLost("smu: gone")

    monkeypatch.setattr(spy, "make_safe", broken)
    with pytest.raises(HwloopError, match="gone"):
        run(procedure_of(step_of()), tmp_path / "a.h5")
    assert spy.closed == 1
    with Record(tmp_path / "a.h5") as record:
        assert "could not be made safe: smu: gone" in record.log[-1][2]


def test_the_preview_adds_up_what_a_plan_would_do() -> None:
    array = array_settings(pulses_before=5)
    amplitude_v = np.zeros((2, 4))
    amplitude_v[0, 0], amplitude_v[1, 3] = 1.5, -1.2
    step = step_of()
    plan = Plan([PlannedOperation(PulseMap(amplitude_v, 2e-3, count=2), 10)], rows=10)
    prepared = PreparedStep("count", step, StepSettings(), plan)
    procedure = Procedure("probe", "", 1, array, {}, (prepared,), "", ())
    seen = preview.preview(procedure, SpyBackend())
    assert (seen.highest_v, seen.lowest_v, seen.half_selected_v) == (1.5, -1.2, 0.75)
    assert seen.pulses_per_device == 5 + 2 * 10
    assert seen.duration_s == pytest.approx(10 * 2 * 2 * 2e-3)
    assert seen.pulse_energy_j == pytest.approx(1.5 * 1e-3 * 2e-3)


def test_the_preview_takes_a_ramp_by_its_worst_pulse_and_its_last() -> None:
    start_v = np.zeros((2, 4))
    start_v[0, 0], start_v[1, 3] = 1.0, -1.0
    ramp = Ramp(
        start_v=start_v,
        step_v=0.1 * start_v,
        width_s=2e-3,
        steps=6,
        read_v=-0.1,
        low_a=np.full((2, 4), 1e-6),
        high_a=np.full((2, 4), np.inf),
        gate_v=np.where(start_v > 0, 1.0, 3.0),
        gate_step_v=np.where(start_v > 0, 0.25, -0.25),
    )
    array = array_settings(pulses_before=5)
    prepared = PreparedStep(
        "count", step_of(), StepSettings(), Plan([PlannedOperation(ramp, 10)], rows=10)
    )
    procedure = Procedure("probe", "", 1, array, {}, (prepared,), "", ())
    seen = preview.preview(procedure, SpyBackend())
    assert (seen.highest_v, seen.lowest_v, seen.half_selected_v) == (1.5, -1.5, 0.75)
    assert (seen.read_v, seen.pulses_per_device) == (0.1, 5 + 6 * 10)
    assert seen.pulse_energy_j == pytest.approx(1.5 * 1e-3 * 2e-3)
    assert seen.duration_s == pytest.approx(10 * 6 * 2 * 2e-3)
    assert seen.operations[0].summary == (
        "ramp 2 of 8 cells, up to 6 pulses of up to 1.5 V, 2 ms, gate up to 3 V, each read at -100 mV"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"highest_v": 2.1}, "highest pulse: 2.1 V exceeds limits.positive_v 2 V"),
        ({"lowest_v": -2.1}, "lowest pulse: -2.1 V exceeds limits.negative_v -2 V"),
        (
            {"half_selected_v": 1.1},
            "half-selected cell (V/2): 1.1 V exceeds limits.half_select_v 1 V",
        ),
        ({"read_v": 0.3}, "read: 300 mV exceeds limits.read_v 200 mV"),
        (
            {"pulse_energy_j": 2.0},
            "energy of a pulse at the compliance: 2 J exceeds limits.pulse_energy_j 1 J",
        ),
        (
            {"pulses_per_device": 4},
            "pulses per device: 4 exceeds limits.pulses_per_device 3",
        ),
    ],
)
def test_every_bound_of_a_preview_is_held_against_its_limit(
    changes: dict[str, float], message: str
) -> None:
    at_the_limits = preview.Preview((), 2.0, -2.0, 1.0, 0.2, 3, 1.0)
    at_the_limits.refuse_beyond_limits(array_settings())
    with pytest.raises(LimitError) as error:
        replace(at_the_limits, **changes).refuse_beyond_limits(array_settings())
    assert str(error.value) == f"the procedure may exceed its limits: {message}"


def test_requests_carry_population_and_a_generator_of_the_seed() -> None:
    request = OpenRequest(array_settings(), 3, np.random.default_rng(1))
    assert request.population == 3


def test_signals_during_the_end_do_not_keep_the_lines_from_going_to_0_v(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed() -> None:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        spy.made_safe += 1

    monkeypatch.setattr(spy, "make_safe", disturbed)
    assert run(procedure_of(step_of()), tmp_path / "a.h5").status == "completed"
    assert (spy.made_safe, spy.closed) == (1, 1)


def test_array_is_made_safe_before_anything_is_written_of_an_error(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe_when_logged: list[int] = []
    monkeypatch.setattr(
        RecordWriter, "log", lambda *_: safe_when_logged.append(spy.made_safe), raising=True
    )

    def fail(row: int, array: Array) -> None:
        raise ConnectionLost("smu: gone")

    with pytest.raises(ConnectionLost):
        run(procedure_of(step_of(fail)), tmp_path / "a.h5")
    assert safe_when_logged == [1]


def test_what_a_stopped_step_does_at_its_end_is_done_while_the_array_is_driven(
    spy: SpyBackend, tmp_path: Path
) -> None:
    ended: list[tuple[int, int]] = []

    def tidy(settings: StepSettings, array: Array) -> Iterator[Yield]:
        try:
            for number in range(settings.rows):
                signal.raise_signal(signal.SIGTERM)
                yield Counted(number)
        finally:
            ended.append((spy.made_safe, spy.closed))

    step = Step("count", "Count", StepSettings, tidy, step_of().plan)
    assert run(procedure_of(step), tmp_path / "a.h5").status == "stopped"
    assert ended == [(0, 0)]


def test_pulses_of_a_life_are_counted_over_runs_and_the_next_beyond_the_limit_is_refused(
    worn: SpyBackend, tmp_path: Path
) -> None:
    first = run(pulsing("W3-D12", pulses=2), tmp_path / "a.h5")
    ledger = tmp_path / "W3-D12.life.jsonl"
    assert first.life == (
        f"array W3-D12: at most 2 of 3 pulses of a device's life are used ({ledger})"
    )
    with pytest.raises(LimitError, match=r"cell \(1, 3\): this would be pulse 4 of its life"):
        run(pulsing("W3-D12", pulses=2), tmp_path / "b.h5")
    run(pulsing("W3-D13", pulses=2), tmp_path / "c.h5")  # another array
    with Record(tmp_path / "b.h5") as record:  # its own pulse, not the two of the run before
        assert record.pulses_given().tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    life = read_life(ledger)
    assert [(e.run, e.status) for e in life.entries] == [("a", "completed"), ("b", "failed")]
    total = life.table((2, 4))
    assert total["pulses"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 3]]
    # 2 V at the compliance of 1 mA for 1 ms, three times.
    assert total["energy_j"][1, 3] == pytest.approx(3 * 2e-6)


class Listens(Quiet):
    """The events that a run tells, in order."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def event(self, event: Event) -> None:
        self.seen.append(event)


def test_a_run_that_begins_a_ledger_says_so_and_names_records_whose_ledger_is_gone(
    worn: SpyBackend, tmp_path: Path
) -> None:
    listens = Listens()
    seen = listens.seen
    ledger = tmp_path / "W3-D12.life.jsonl"
    first = run(pulsing("W3-D12"), tmp_path / "a.h5", listens)
    (begins,) = seen
    assert first.beginning == f"info: {begins.message}"  # for who shows no events
    assert begins.level == "info"
    assert f"the ledger of array W3-D12 begins with this run ({ledger})" in begins.message
    with Record(tmp_path / "a.h5") as record:
        assert record.log[0][1:] == ("info", begins.message)
    assert run(pulsing("W3-D12"), tmp_path / "b.h5", listens).beginning == ""
    run(pulsing("W3-D13"), tmp_path / "c.h5", listens)
    assert [event.level for event in seen] == ["info", "info"]  # b says nothing, c is another
    ledger.unlink()
    for name, others in (("W3-D12", "a.h5, b.h5"), ("w3-d13", "c.h5")):
        run(pulsing(name), tmp_path / f"{name}-d.h5", listens)
        assert seen[-1].level == "warning"
        assert seen[-1].message.endswith(f"records of this array lie beside it: {others}")


def test_pulses_before_the_ledger_and_in_it_add_up(worn: SpyBackend, tmp_path: Path) -> None:
    run(pulsing("x", pulses=1, pulses_before=1), tmp_path / "a.h5")
    with pytest.raises(LimitError, match="this would be pulse 4 of its life"):
        run(pulsing("x", pulses=2, pulses_before=1), tmp_path / "b.h5")


def test_a_run_on_an_array_without_a_name_says_that_its_pulses_are_not_kept(
    worn: SpyBackend, tmp_path: Path
) -> None:
    listens = Listens()
    seen = listens.seen
    result = run(pulsing(None), tmp_path / "a.h5", listens)
    message = "the array has no name (array.name): no ledger counts its pulses over its runs"
    assert (result.life, seen) == (message, [Event("warning", message)])
    with Record(tmp_path / "a.h5") as record:
        assert record.log[0][1:] == ("warning", message)
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("name", [None, "x"])
def test_an_emulated_array_has_no_life(spy: SpyBackend, tmp_path: Path, name: str | None) -> None:
    for record in ("a.h5", "b.h5"):
        assert run(pulsing(name, pulses=2), tmp_path / record).life == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_a_run_on_an_array_that_is_in_use_reaches_no_instrument(
    worn: SpyBackend, tmp_path: Path
) -> None:
    life = ArrayLife(tmp_path / "x.life.jsonl", "first", array_settings(name="x"))
    with pytest.raises(RecordError, match="array x is in use by run first"):
        run(pulsing("x"), tmp_path / "a.h5")
    life.close()
    assert (worn.asked, worn.closed) == ([], 0)
    assert not (tmp_path / "a.h5").exists()


def test_a_ledger_is_of_one_array_and_not_of_several_tiles(
    worn: SpyBackend, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"array.name 'x' is of one array"):
        run(pulsing("x", tiles=2), tmp_path / "a.h5")


def test_the_preview_adds_the_pulses_of_earlier_runs_cell_by_cell() -> None:
    amplitude_v = np.zeros((2, 4))
    amplitude_v[0, 0] = 1.5
    plan = Plan([PlannedOperation(PulseMap(amplitude_v, 2e-3), 10)], rows=10)
    prepared = PreparedStep("count", step_of(), StepSettings(), plan)
    procedure = Procedure("probe", "", 1, array_settings(), {}, (prepared,), "", ())
    examples = replace(prepared, plan=replace(plan, any_cell=True))
    anywhere = replace(procedure, steps=(examples,))
    for cell, most in (((0, 0), 17), ((0, 1), 10), ((1, 3), 10)):
        before = np.zeros((2, 4), np.int64)
        before[cell] = 7
        seen = preview.preview(procedure, SpyBackend(), pulses_before=before)
        assert seen.pulses_per_device == most
        seen = preview.preview(anywhere, SpyBackend(), pulses_before=before)
        assert seen.pulses_per_device == 17


def _full(*_: object, **__: object) -> None:
    raise RecordError("a.h5: cannot be written: the disk is full")


def test_what_ended_a_run_is_raised_first_also_where_the_record_takes_nothing_any_more(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(row: int, array: Array) -> None:
        if row == 1:
            for name in ("log", "row", "operation"):
                monkeypatch.setattr(RecordWriter, name, _full)
            spy.events.append(Event("warning", "relay 3 is slow"))
            raise ConnectionLost("smu: gone")

    with pytest.raises(ConnectionLost, match="smu: gone") as raised:
        run(procedure_of(step_of(fail)), tmp_path / "a.h5")
    assert raised.value.__notes__ == ["a.h5: cannot be written: the disk is full"]
    assert (spy.made_safe, spy.closed) == (1, 1)
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "failed"


def test_operation_that_fails_is_what_ended_the_run_and_not_the_record_of_it(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform = spy.perform

    def fail(operation: Operation) -> Reading | None:
        if isinstance(operation, Wait):
            monkeypatch.setattr(RecordWriter, "operation", _full)
            raise ConnectionLost("smu: gone")
        return perform(operation)

    monkeypatch.setattr(spy, "perform", fail)
    with pytest.raises(ConnectionLost, match="smu: gone") as raised:
        run(procedure_of(step_of()), tmp_path / "a.h5")
    assert "a.h5: cannot be written: the disk is full" in raised.value.__notes__


def test_array_that_is_safe_is_not_called_unsafe_because_the_record_fails(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def safe() -> None:
        monkeypatch.setattr(RecordWriter, "log", _full)
        spy.events.append(Event("warning", "relay 3 is slow"))

    monkeypatch.setattr(spy, "make_safe", safe)
    with pytest.raises(RecordError, match="the disk is full"):
        run(procedure_of(step_of()), tmp_path / "a.h5")
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "completed"


def test_backend_that_cannot_be_made_safe_is_told_also_where_the_record_fails(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsafe() -> None:
        monkeypatch.setattr(RecordWriter, "log", _full)
        spy.events.append(Event("warning", "smu: no answer"))
        raise ConnectionLost("smu may still be on")

    monkeypatch.setattr(spy, "make_safe", unsafe)
    with pytest.raises(ConnectionLost, match="smu may still be on"):
        run(procedure_of(step_of()), tmp_path / "a.h5")
    with Record(tmp_path / "a.h5") as record:
        assert record.status == "failed"


def test_run_whose_record_cannot_be_packed_says_how_it_ended(
    spy: SpyBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record_writer, "pack", full)
    path = tmp_path / "a.h5"
    with pytest.raises(RecordError) as raised:
        run(procedure_of(step_of()), path)
    assert str(raised.value) == (
        f"{path}: cannot be written: [Errno 28] No space left on device; the 5 operations and 3"
        " rows before are safe in it"
    )
    with Record(path) as record:
        assert (record.status, len(record), record.attrs["ended_utc"]) == ("completed", 5, "")
        assert record.results("count")["number"].tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX systems")
def test_terminal_that_closes_stops_a_run_in_order_however_often_it_says_so(
    spy: SpyBackend, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup

    def hang_up(row: int, array: Array) -> None:
        if row == 1:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)

    try:
        result = run(procedure_of(step_of(hang_up)), tmp_path / "a.h5")
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.status == "stopped"
    with Record(tmp_path / "a.h5") as record:
        assert record.results("count")["number"].tolist() == [0, 1]
        assert record.log[-1][1:] == ("warning", "stopped: SIGHUP")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX systems")
def test_run_under_nohup_goes_on_when_the_terminal_closes(spy: SpyBackend, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        result = run(
            procedure_of(step_of(lambda *_: signal.raise_signal(signal.SIGHUP))), tmp_path / "a.h5"
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.status == "completed"
