"""What the cells of an array see and what is measured, whatever the scheme, on the virtual bench."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.array.operations import PulseMap, Ramp, ReadMap, VectorBatch, Wait
from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, ConfigError, ConnectionLost, InstrumentFault, Unsupported
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop_drivers.bench import backend
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, dry_run_bench, open_bench
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.biased_cells import cell_voltages_v
from tests.drivers.running_bench import PROCEDURE, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

OHM = [[10e3, 12e3, 15e3, 18e3], [22e3, 27e3, 33e3, 39e3], [47e3, 56e3, 68e3, 82e3], [1e5, 2e5, 3e5, 4e5]]  # fmt: skip
DRIVES = {
    "V/2": {"rows": "s1", "columns": "s2"},
    "V/3": {"rows": "s1", "columns": "s2", "other_rows": "s3", "other_columns": "s4"},
    "grounded": {"rows": "s1", "columns": "s2"},
    "floating": {"rows": "s1"},
    "1T1R": {"rows": "s1", "columns": "s2", "gates": "s3"},
}
GATED = {
    "array.cell": "1T1R",
    "array.limits.gate_v": 3.0,
    "array.read.gate_v": 2.5,
    "array.limits.current_a": 0.01,
    "array.limits.half_select_v": 0.2,
}


def _station(folder: Path, scheme: str, **more: object) -> Path:
    """Up to four 2400 and a 7001 with two cards: slot 1 has the sources, slot 2 the ground."""
    drive = DRIVES[scheme]
    sources = {
        name: {"kind": "keithley_2400", "address": "virtual:socket"} for name in drive.values()
    }
    lines: dict[str, dict[str, str]] = {}
    for n in range(4):
        for kind, column in (("row", n + 1), ("col", n + 5)):
            outputs = [out for key, out in drive.items() if kind in key]
            lines[f"{kind}{n}"] = {
                **{out: f"1!{out[1]}!{column}" for out in outputs},
                "gnd": f"2!1!{column}",
            }
            if scheme == "1T1R" and kind == "col":
                lines[f"col{n}"]["s1"] = f"1!1!{column}"  # unselected columns follow the row
        if scheme == "1T1R":
            lines[f"gate{n}"] = {"s3": f"2!2!{n + 1}", "gnd": f"2!3!{n + 1}"}
    station = {
        "name": "made",
        "scheme": scheme,
        "instruments": {
            **sources,
            "matrix": {"kind": "keithley_7001", "address": "virtual:socket"},
        },
        "wiring": {"drive": drive, "lines": lines},
        "self_test": {"dummy_ohm": OHM},
        "virtual": {"noise": False},
        **more,
    }
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(station, sort_keys=False), encoding="utf-8")
    return path


def _procedure(scheme: str, **overrides: object) -> Procedure:
    given = {"array.biasing": scheme, "array.limits.half_select_v": 2.2, **overrides}
    return load_procedure(PROCEDURE, [f"{key}={value}" for key, value in given.items()])


def _request(procedure: Procedure) -> OpenRequest:
    rng = np.random.default_rng(0)
    return OpenRequest(procedure.array, None, rng, procedure=procedure.resolved)


@contextmanager
def _open(station: Path, procedure: Procedure) -> Iterator[tuple[Bench, VirtualBench]]:
    with (
        running_bench(station, procedure, dummy=True) as virtual,
        open_bench(BenchSettings(station=station), _request(procedure)) as bench,
    ):
        virtual.circuit.changes.clear()
        yield bench, virtual


def _one(amplitude_v: float, *cells: tuple[int, int]) -> PulseMap:
    map_v = np.zeros((4, 4))
    for cell in cells:
        map_v[cell] = amplitude_v
    return PulseMap(map_v, 2e-3)


def _seen(virtual: VirtualBench) -> list[np.ndarray[Any, Any]]:
    """The voltage of every cell after each change on the bench."""
    seen = []
    for change in virtual.circuit.changes:
        row_v = np.array([change.lines_v[f"row{n}"] for n in range(4)])
        col_v = np.array([change.lines_v[f"col{n}"] for n in range(4)])
        seen.append(row_v[:, None] - col_v)
    return seen


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
@pytest.mark.parametrize("amplitude_v", [1.5, -1.5])
def test_pulse_puts_on_every_cell_what_the_scheme_says_and_never_more(
    tmp_path: Path, scheme: Any, amplitude_v: float
) -> None:
    cell = (1, 2)
    with _open(_station(tmp_path, scheme), _procedure(scheme)) as (bench, virtual):
        bench.pulse(_one(amplitude_v, cell))
        seen = _seen(virtual)
    wanted_v = cell_voltages_v(scheme, (4, 4), row=cell[0], col=cell[1], amplitude_v=amplitude_v)
    peak_v = max(seen, key=lambda cells: abs(cells[cell]))
    np.testing.assert_allclose(peak_v, wanted_v, atol=1e-5)
    others = np.ones((4, 4), dtype=bool)
    others[cell] = False
    most_v = max(float(np.abs(cells[others]).max()) for cells in seen)
    assert most_v <= np.abs(wanted_v[others]).max() + 1e-5
    np.testing.assert_allclose(seen[-1], 0, atol=1e-9)


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
def test_read_gives_every_resistor_its_current_whatever_its_neighbours(
    tmp_path: Path, scheme: str
) -> None:
    with _open(_station(tmp_path, scheme), _procedure(scheme)) as (bench, _):
        reading = bench.read(ReadMap.every_cell((4, 4), read_v=0.1, both_polarities=True))
    np.testing.assert_allclose(reading.current_a, 0.1 / np.array(OHM), rtol=1e-4)
    assert not reading.flags.any()


def test_floating_read_has_the_sneak_paths_of_its_array(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "floating"), _procedure("floating")) as (bench, _):
        reading = bench.read(ReadMap.every_cell((4, 4), read_v=0.1))
    siemens = 1 / np.array(OHM)
    np.testing.assert_allclose(
        reading.current_a[3, 3], 0.1 * _floating_conductance_s(siemens, 3, 3), rtol=1e-4
    )
    assert reading.current_a[3, 3] > 0.1 * siemens[3, 3] * 1.5


def _floating_conductance_s(siemens: np.ndarray[Any, Any], row: int, col: int) -> float:
    """Between one row and one column with all others floating, by the graph's Laplacian."""
    rows, cols = siemens.shape
    laplacian = np.zeros((rows + cols, rows + cols))
    laplacian[:rows, rows:] = -siemens
    laplacian[rows:, :rows] = -siemens.T
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    inverse = np.linalg.pinv(laplacian)
    ends = np.zeros(rows + cols)
    ends[row], ends[rows + col] = 1, -1
    return float(1 / (ends @ inverse @ ends))


def test_gates_let_one_row_of_1t1r_cells_see_its_pulse_and_conduct(tmp_path: Path) -> None:
    procedure = _procedure("1T1R", **GATED)
    map_v = np.zeros((4, 4))
    map_v[2, 1] = 1.5
    with _open(_station(tmp_path, "1T1R"), procedure) as (bench, virtual):
        bench.pulse(PulseMap(map_v, 2e-3, gate_v=1.7))
        assert virtual.circuit.pulses.sum() == virtual.circuit.pulses[2, 1] == 1
        gates_v = {change.lines_v["gate2"] for change in virtual.circuit.changes}
        with pytest.raises(Unsupported, match="gate_v is missing"):
            bench.pulse(PulseMap(map_v, 2e-3))
        reading = bench.read(ReadMap.every_cell((4, 4), read_v=0.1, both_polarities=True))
    assert max(gates_v) == pytest.approx(1.7)
    np.testing.assert_allclose(reading.current_a, 0.1 / np.array(OHM), rtol=1e-4)


def test_each_1t1r_cell_is_pulsed_with_its_own_gate(tmp_path: Path) -> None:
    procedure = _procedure("1T1R", **GATED)
    map_v, gate_v = np.zeros((4, 4)), np.full((4, 4), np.nan)
    map_v[2, 1], map_v[2, 3], map_v[0, 3] = 1.5, 1.2, -1.0
    gate_v[2, 1], gate_v[2, 3], gate_v[0, 3] = 1.7, 2.9, 2.2
    with _open(_station(tmp_path, "1T1R"), procedure) as (bench, virtual):
        bench.pulse(PulseMap(map_v, 2e-3, gate_v=gate_v))
        assert (virtual.circuit.pulses == (map_v != 0)).all()
        lines = ("row2", "gate2", "row0", "gate0")
        seen_v = {
            tuple(round(change.lines_v[line], 3) for line in lines)
            for change in virtual.circuit.changes
        }
        with pytest.raises(Unsupported, match=r"level 2900 V is beyond|level 1700 V is beyond"):
            bench.check(PulseMap(map_v, 2e-3, gate_v=1e3 * gate_v))
    while_pulsed = {levels for levels in seen_v if levels[0] or levels[2]}
    assert while_pulsed == {(1.5, 1.7, 0, 0), (1.2, 2.9, 0, 0), (0, 0, -1.0, 2.2)}


def test_a_ramp_of_1t1r_cells_steps_their_gates_pulse_by_pulse(tmp_path: Path) -> None:
    procedure = _procedure("1T1R", **GATED)
    start_v, gate_v = np.zeros((4, 4)), np.zeros((4, 4))
    start_v[2, 1], start_v[0, 3] = 1.5, -1.0
    gate_v[2, 1], gate_v[0, 3] = 1.0, 2.0
    ramp = Ramp(
        start_v=start_v,
        step_v=np.zeros((4, 4)),
        width_s=2e-3,
        steps=3,
        read_v=0.1,
        low_a=np.where(start_v > 0, 1.0, 0.0),  # the one never, the other at once
        high_a=np.full((4, 4), np.inf),
        gate_v=gate_v,
        gate_step_v=np.where(start_v > 0, 0.25, 0.0),
    )
    with _open(_station(tmp_path, "1T1R"), procedure) as (bench, virtual):
        assert bench.description.verify_steps == 1
        answer = bench.ramp(ramp)
        lines = ("row2", "gate2", "row0", "gate0")
        levels = [
            tuple(round(change.lines_v[line], 3) for line in lines)
            for change in virtual.circuit.changes
        ]
    pulses = [seen for seen in levels if abs(seen[0]) > 0.5 or abs(seen[2]) > 0.5]
    assert list(dict.fromkeys(pulses)) == [
        (1.5, 1.0, 0, 0), (1.5, 1.25, 0, 0), (1.5, 1.5, 0, 0), (0, 0, -1.0, 2.0),
    ]  # fmt: skip
    reads = {seen for seen in levels if 0.05 < abs(seen[0]) < 0.5}
    assert {seen[1] for seen in reads} == {GATED["array.read.gate_v"]}
    np.testing.assert_array_equal((answer.flags == 0).sum(axis=0)[start_v != 0], [1, 3])
    np.testing.assert_allclose(answer.current_a[:, 2, 1], 0.1 / OHM[2][1], rtol=1e-4)


def test_gate_without_gates_on_the_station_is_unsupported(tmp_path: Path) -> None:
    pulse = PulseMap(np.full((4, 4), 1.0), 2e-3, gate_v=1.7)
    with (
        _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, _),
        pytest.raises(Unsupported, match=r"gate_v 1\.7: no gates are wired"),
    ):
        bench.pulse(pulse)


@pytest.mark.parametrize("scheme", ["V/2", "V/3"])
def test_vectors_of_one_voltage_and_of_several_multiply_alike(tmp_path: Path, scheme: str) -> None:
    vectors = np.array([[0.1, 0, 0.1, 0.1], [0.1, -0.05, 0, 0.02], [0, 0, 0, 0], [0, -0.1, 0, 0]])
    with _open(_station(tmp_path, scheme), _procedure(scheme)) as (bench, virtual):
        reading = bench.multiply(VectorBatch(vectors))
        first_rows = [c.lines_v for c in virtual.circuit.changes if c.lines_v["row3"] > 0.09]
    np.testing.assert_allclose(
        reading.current_a, vectors @ (1 / np.array(OHM)), rtol=1e-4, atol=2e-9
    )
    assert any(lines["row0"] > 0.09 and lines["row2"] > 0.09 for lines in first_rows)


@pytest.mark.parametrize("scheme", ["V/2", "V/3"])
def test_vectors_on_the_columns_are_measured_at_the_rows(tmp_path: Path, scheme: str) -> None:
    vectors = np.array([[0.1, 0, 0.1, 0.1], [0.1, -0.05, 0, 0.02], [0, 0, 0, 0], [0, -0.1, 0, 0]])
    with _open(_station(tmp_path, scheme), _procedure(scheme)) as (bench, virtual):
        reading = bench.multiply(VectorBatch(vectors, "cols"))
        first = [c.lines_v for c in virtual.circuit.changes if c.lines_v["col3"] > 0.09]
        assert bench.duration_s(VectorBatch(vectors, "cols")) > 0
    np.testing.assert_allclose(
        reading.current_a, vectors @ (1 / np.array(OHM)).T, rtol=1e-4, atol=2e-9
    )
    assert any(lines["col0"] > 0.09 and lines["col2"] > 0.09 for lines in first)


def test_relays_move_only_at_zero_volts(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "V/3"), _procedure("V/3")) as (bench, virtual):
        bench.pulse(_one(1.5, (0, 0), (2, 0), (3, 3)))
        bench.read(ReadMap.every_cell((4, 4), read_v=0.1))
        bench.wait(Wait(1.0))
        changes = list(virtual.circuit.changes)
    assert len(changes) > 50
    for before, after in pairwise(changes):
        if before.closed != after.closed:
            assert max(abs(v) for v in before.outputs_v.values() if v is not None) == 0.0


def test_matrix_is_reset_only_when_every_source_has_been(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "V/2", wire_log=True), _procedure("V/2")) as (bench, _):
        sent = [event.message for event in bench.take_events() if event.level == "wire"]
    resets = [words.split(" > ")[0] for words in sent if words.endswith(" > *RST")]
    assert resets == ["s1", "s2", "matrix"]


def test_a_wait_passes_on_the_clock_and_shows_an_output_that_went_off_meanwhile(
    tmp_path: Path,
) -> None:
    with _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, _):
        before_s = bench.now_s()
        bench.wait(Wait(7.0))
        assert bench.now_s() - before_s == pytest.approx(7.0, abs=0.5)
        bench._drives.rows.source_enabled = False  # as an interlock does
        with pytest.raises(InstrumentFault, match="s1: its output has gone off by itself"):
            bench.wait(Wait(1.0))


def test_a_bench_made_safe_is_off_until_the_next_operation_and_then_pulses_its_cell(
    tmp_path: Path,
) -> None:
    with _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, virtual):
        bench.pulse(_one(1.5, (0, 0)))
        bench.make_safe()
        assert not any(virtual.status()["outputs_on"].values())
        virtual.circuit.changes.clear()
        bench.pulse(_one(1.5, (2, 3)))
        assert all(virtual.status()["outputs_on"].values())
        wanted_v = np.zeros((4, 4))
        wanted_v[2, :] = wanted_v[:, 3] = 0.75
        wanted_v[2, 3] = 1.5
        peak_v = max(_seen(virtual), key=lambda cells: cells[2, 3])
        np.testing.assert_allclose(peak_v, wanted_v, atol=1e-5)
        bench.make_safe()
        reading = bench.read(ReadMap.every_cell((4, 4), read_v=0.1))
    np.testing.assert_allclose(reading.current_a, 0.1 / np.array(OHM), rtol=1e-4)


def test_a_bench_that_could_not_be_made_safe_refuses_every_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BackendError("NOT EVERYTHING IS SAFE: s1 may still be ON")

    with _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, virtual):
        with monkeypatch.context() as patch:
            patch.setattr(backend, "make_all_safe", broken)
            with pytest.raises(BackendError, match="NOT EVERYTHING IS SAFE"):
                bench.make_safe()
        with pytest.raises(BackendError, match="could not be made safe: NOT EVERYTHING IS SAFE"):
            bench.pulse(_one(1.5, (0, 0)))
        assert not virtual.circuit.changes
        bench.make_safe()
        bench.pulse(_one(1.5, (0, 0)))
        assert max(cells[0, 0] for cells in _seen(virtual)) == pytest.approx(1.5, abs=1e-5)


def test_a_closed_bench_is_not_opened_again_to_be_made_safe(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, virtual):
        bench.close()
        clients = virtual.clients
        bench.take_events()
        bench.make_safe()
        assert bench.take_events() == []
        assert virtual.clients == clients


def test_lines_float_only_where_the_scheme_floats_them(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "V/2"), _procedure("V/2")) as (bench, virtual):
        bench.pulse(_one(1.5, (0, 0), (2, 1)))
        changes = list(virtual.circuit.changes)
        wires = [w for w in virtual.station.wires() if w.channel]
    for change in changes:
        for line in virtual.station.wiring.lines:
            mine = [f"{w.matrix}:{w.channel}" for w in wires if w.line == line]
            assert set(mine) & set(change.closed), f"{line} floats at {change.time_s:g} s"


def test_wire_log_is_written_as_events_of_both_directions(tmp_path: Path) -> None:
    with _open(_station(tmp_path, "V/2", wire_log=True), _procedure("V/2")) as (bench, _):
        bench.read(ReadMap.every_cell((4, 4), read_v=0.1))
        words = [event.message for event in bench.take_events() if event.level == "wire"]
    assert "s1 > *IDN?" in words
    assert any(word.startswith("s1 < KEITHLEY") for word in words)
    assert any(word.startswith("matrix > :CLOS (@") for word in words)


@pytest.mark.parametrize(
    ("override", "value", "words"),
    [
        ("array.limits.current_a", 2.0, "wiring.drive.rows: .*compliance .* 2 A is beyond"),
        ("array.limits.current_a", 1e-10, "wiring.drive.rows: .*compliance 1e-10 A is below"),
        (
            "array.limits.positive_v",
            1000.0,
            "wiring.drive.rows: .*500 V is beyond the instrument's 210 V",
        ),
    ],
)
def test_what_an_output_cannot_be_set_up_for_is_refused_without_a_link(
    tmp_path: Path, override: str, value: float, words: str
) -> None:
    station = _station(tmp_path, "V/2")
    procedure = _procedure("V/2", **{override: value, "array.limits.pulse_energy_j": 1e6})
    with pytest.raises(ConfigError, match=words):
        dry_run_bench(BenchSettings(station=station), _request(procedure))


def test_bench_describes_itself_by_the_text_of_its_station(tmp_path: Path) -> None:
    station = _station(tmp_path, "V/2")
    text = station.read_text(encoding="utf-8") + "# of room 3\n"
    station.write_text(text, encoding="utf-8")
    bench = dry_run_bench(BenchSettings(station=station), _request(_procedure("V/2")))
    assert bench.description.station == text


def test_station_limit_above_the_instruments_range_is_refused(tmp_path: Path) -> None:
    station = _station(tmp_path, "V/2")
    text = station.read_text(encoding="utf-8")
    station.write_text(
        text.replace("kind: keithley_2400", "kind: keithley_2400\n    limit_v: 300", 1)
    )
    with pytest.raises(
        ConfigError, match=r"instruments\.s1\.limit_v: .*300 V is beyond the instrument's 210 V"
    ):
        dry_run_bench(BenchSettings(station=station), _request(_procedure("V/2")))


def test_channel_that_the_matrix_does_not_have_is_refused_without_a_link(tmp_path: Path) -> None:
    station = _station(tmp_path, "V/2")
    text = station.read_text(encoding="utf-8")
    station.write_text(text.replace("1!1!1", "1!9!1"))
    words = r"station\.yaml: wiring\.lines\.row0\.s1: matrix: '1!9!1' is no channel"
    with pytest.raises(ConfigError, match=words):
        dry_run_bench(BenchSettings(station=station), _request(_procedure("V/2")))


def test_key_that_a_driver_does_not_know_is_named_with_its_place(tmp_path: Path) -> None:
    station = _station(tmp_path, "V/2")
    text = station.read_text(encoding="utf-8")
    station.write_text(
        text.replace("kind: keithley_2400", "kind: keithley_2400\n    settings: {nplcc: 1}", 1)
    )
    with pytest.raises(ConfigError, match=r"instruments\.s1\.settings\.nplcc: unknown key"):
        dry_run_bench(BenchSettings(station=station), _request(_procedure("V/2")))


def test_instrument_that_does_not_answer_is_named(tmp_path: Path) -> None:
    station = _station(tmp_path, "V/2")
    text = station.read_text(encoding="utf-8")
    for n in range(1, 4):  # ports at which nothing listens
        text = text.replace("virtual:socket", f"TCPIP::127.0.0.1::{n}::SOCKET", 1)
    station.write_text(text)
    with pytest.raises(ConnectionLost) as caught:
        open_bench(BenchSettings(station=station), _request(_procedure("V/2")))
    said = str(caught.value)
    assert "\n" not in said
    count, *reasons = re.split(r": (?=s1: )|; (?=\w+: TCPIP)", said)
    assert count == "3 of 3 instruments cannot be used"
    for n, reason in enumerate(reasons, start=1):
        assert f"TCPIP::127.0.0.1::{n}::SOCKET: nothing answers at 127.0.0.1 port {n}" in reason
    assert len(reasons) == 3
