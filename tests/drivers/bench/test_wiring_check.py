"""Wrong wiring and stuck relays on the virtual bench, and what the self-test says of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, InstrumentFault
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, check_connectivity
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault
from tests.drivers.running_bench import (
    PROCEDURE,
    STATIONS,
    copy_station,
    running_bench,
)

pytestmark = pytest.mark.usefixtures("no_watchdog")


def _self_test(
    station: Path, *faults: dict[str, str], dummy: bool = True, overrides: Sequence[str] = ()
) -> list[str]:
    procedure = load_procedure(PROCEDURE, overrides)
    request = OpenRequest(
        procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
    )
    with running_bench(station, procedure, dummy=dummy) as bench:
        for fault in faults:
            bench.add_fault(Fault.parse(fault))
        try:
            return list(check_connectivity(BenchSettings(station=station), request))
        finally:
            _assert_safe(bench)


def _assert_safe(bench: VirtualBench) -> None:
    status = bench.status()
    assert not any(status["outputs_on"].values())
    over_v = [abs(v) for change in bench.circuit.changes for v in change.lines_v.values()]
    assert max(over_v) <= 0.05 * 1.001, "the self-test went beyond the read voltage"


def _channel(station: Path, line: str, output: str) -> dict[str, str]:
    wires = load_station(station).wires()
    wire = next(wire for wire in wires if wire.line == line and wire.output == output)
    assert wire.matrix is not None
    assert wire.channel is not None
    return {"instrument": wire.matrix, "channel": wire.channel}


@pytest.fixture(params=STATIONS, ids=lambda path: path.stem)
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy_station(request.param, tmp_path)


def test_good_wiring_passes_with_the_dummy_and_with_the_array(station: Path) -> None:
    words = _self_test(station)
    assert words[-1] == "dummy: every resistor is where it belongs"
    assert any("KEITHLEY" in line.upper() or "HWLOOP" in line.upper() for line in words)
    assert any(line.startswith("relays:") for line in _self_test_of_array(station))


def _self_test_of_array(station: Path) -> list[str]:
    text = station.read_text(encoding="utf-8")
    station.write_text(text[: text.index("\nself_test:")], encoding="utf-8")
    return _self_test(station, dummy=False)


@pytest.mark.parametrize("line", ["row2", "col1"])
def test_broken_lead_is_named(station: Path, line: str) -> None:
    with pytest.raises(InstrumentFault, match=rf"self-test: {line}: no current through any"):
        _self_test(station, {"kind": "break", "line": line})


@pytest.mark.parametrize("kind", ["stick_open", "stick_closed"])
@pytest.mark.parametrize("line", ["row2", "col1"])
def test_stuck_relay_is_noticed_and_its_line_named(station: Path, line: str, kind: str) -> None:
    for end in ("output", "ground"):
        _assert_stuck_relay_is_named(station, line, kind, end)


def _assert_stuck_relay_is_named(station: Path, line: str, kind: str, end: str) -> None:
    drive = load_station(station).wiring.drive
    output = "gnd" if end == "ground" else (drive.rows if line == "row2" else drive.columns)
    channel = _channel(station, line, str(output))
    with pytest.raises(InstrumentFault, match=rf"self-test: {line}: ") as caught:
        _self_test(station, {"kind": kind, **channel})
    assert channel["channel"] in str(caught.value)
    others = [f"{k}{n}:" for k in ("row", "col") for n in range(4) if f"{k}{n}" != line]
    assert not any(other in str(caught.value) for other in others)


def test_rows_and_columns_exchanged_is_noticed_with_the_dummy(station: Path) -> None:
    swaps = [{"kind": "exchange", "line": f"row{n}", "other": f"col{n}"} for n in range(4)]
    with pytest.raises(InstrumentFault, match="rows and columns are exchanged"):
        _self_test(station, *swaps)


def test_two_rows_exchanged_are_named(station: Path) -> None:
    with pytest.raises(InstrumentFault, match="row1 is on row3, row3 is on row1"):
        _self_test(station, {"kind": "exchange", "line": "row1", "other": "row3"})


def test_one_row_exchanged_with_one_column_is_named_without_a_dummy(station: Path) -> None:
    with pytest.raises(InstrumentFault, match="row1 and col2 are exchanged"):
        _self_test(station, {"kind": "exchange", "line": "row1", "other": "col2"}, dummy=False)


def test_dummy_that_is_not_in_the_arrays_place_is_said(tmp_path: Path) -> None:
    station = copy_station(STATIONS[0], tmp_path)
    words = r"the dummy has .* and no cell reads what it should: the dummy is not in the array's"
    with pytest.raises(InstrumentFault, match=words):
        _self_test(station, dummy=False)


def test_dummy_of_another_shape_is_refused(tmp_path: Path) -> None:
    row = "    - [100 kohm, 120 kohm, 150 kohm, 180 kohm]\n"
    path = copy_station(STATIONS[0], tmp_path, **{row: ""})
    with pytest.raises(ConfigError, match="3 × 4 resistors; the array is 4 × 4"):
        _self_test(path)


ONE_SMU = """
name: one_smu
scheme: floating
instruments:
  smu: {kind: keithley_2450, address: virtual:socket, settings: {language: scpi}}
  matrix: {kind: keithley_707b, address: virtual:socket, settings: {model: 708B, cards: {1: "7072"}}}
wiring:
  drive: {rows: smu}
  lines:
    row0: {smu: 1A01, gnd: 1B01}
    row1: {smu: 1A02, gnd: 1B02}
    row2: {smu: 1A03, gnd: 1B03}
    row3: {smu: 1A04, gnd: 1B04}
    col0: {gnd: 1B05}
    col1: {gnd: 1B06}
    col2: {gnd: 1B07}
    col3: {gnd: 1B08}
  series_ohm: {smu: 1 kohm}
virtual: {noise: false}
"""  # stations/smu_matrix_4x4.yaml with virtual instruments


def _wired_otherwise(way: str, folder: Path) -> tuple[Path, Sequence[str]]:
    """A station with series resistors or floating lines, and what its array needs."""
    two_channels = next(path for path in STATIONS if path.stem == "virtual_2602b_707b")
    generator = next(path for path in STATIONS if path.stem == "virtual_2450_33500b_3706a")
    match way:
        case "rows behind 1 kohm":
            resistors = {"\nwitness:": "  series_ohm: {smu.a: 1 kohm}\n\nwitness:"}
            return copy_station(two_channels, folder, **resistors), ()
        case "rows and columns behind 2 kohm":
            resistors = {
                "\nwitness:": "  series_ohm: {generator.1: 2 kohm, smu: 2 kohm}\n\nwitness:"
            }
            return copy_station(generator, folder, **resistors), ()
        case "floating, a meter on the columns":
            changed = {"scheme: V/2 ": "scheme: floating "}
            return copy_station(two_channels, folder, **changed), _FLOATING
    path = folder / "station.yaml"
    whole = two_channels.read_text(encoding="utf-8")
    path.write_text(ONE_SMU + whole[whole.index("\nself_test:") :], encoding="utf-8")
    return path, _FLOATING


_FLOATING = ("array.biasing=floating", "array.limits.half_select_v=2.0")
WAYS = (
    "rows behind 1 kohm",
    "rows and columns behind 2 kohm",
    "floating, a meter on the columns",
    "floating, one SMU behind 1 kohm",
)


@pytest.mark.parametrize("way", WAYS)
def test_good_wiring_passes_with_resistors_and_floating_lines(way: str, tmp_path: Path) -> None:
    station, overrides = _wired_otherwise(way, tmp_path)
    words = _self_test(station, overrides=overrides)
    assert words[-1] == "dummy: every resistor is where it belongs"
    assert any(line.startswith("relays:") for line in words)


@pytest.mark.parametrize("way", WAYS)
def test_good_wiring_around_an_array_passes_too(way: str, tmp_path: Path) -> None:
    station, overrides = _wired_otherwise(way, tmp_path)
    text = station.read_text(encoding="utf-8")
    station.write_text(text[: text.index("\nself_test:")], encoding="utf-8")
    words = _self_test(station, dummy=False, overrides=overrides)
    assert any(line.startswith("relays:") for line in words)


@pytest.mark.parametrize("way", WAYS)
def test_faults_are_named_behind_resistors_and_among_floating_lines(
    way: str, tmp_path: Path
) -> None:
    station, overrides = _wired_otherwise(way, tmp_path)
    drive = load_station(station).wiring.drive
    with pytest.raises(InstrumentFault, match="self-test: row2: no current"):
        _self_test(station, {"kind": "break", "line": "row2"}, overrides=overrides)
    stuck = {"kind": "stick_closed", **_channel(station, "row1", drive.rows)}
    with pytest.raises(InstrumentFault, match="self-test: row1: stays on"):
        _self_test(station, stuck, overrides=overrides)
    stuck = {"kind": "stick_open", **_channel(station, "row3", "gnd")}
    with pytest.raises(InstrumentFault, match="self-test: row3: floats when"):
        _self_test(station, stuck, overrides=overrides)
    with pytest.raises(InstrumentFault, match="row1 is on row3, row3 is on row1"):
        _self_test(
            station, {"kind": "exchange", "line": "row1", "other": "row3"}, overrides=overrides
        )


def test_a_resistor_that_the_station_does_not_know_is_noticed(tmp_path: Path) -> None:
    station, _ = _wired_otherwise("rows behind 1 kohm", tmp_path)
    procedure = load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    with running_bench(station, procedure, dummy=True):
        text = station.read_text(encoding="utf-8")
        station.write_text(text.replace("smu.a: 1 kohm", "smu.a: 700 ohm"), encoding="utf-8")
        # 15 kohm · (1 + R · 305.6 uS), the conductance of the row: 1 kohm there, 700 ohm assumed.
        with pytest.raises(InstrumentFault, match=r"reads 1\.958e\+04 ohm, .* reads 1\.821e\+04"):
            list(check_connectivity(BenchSettings(station=station), request))
