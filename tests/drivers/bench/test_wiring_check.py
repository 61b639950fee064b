"""Wrong wiring and stuck relays on the virtual bench, and what the self-test says of them."""

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


def _self_test(station: Path, *faults: dict[str, str], dummy: bool = True) -> list[str]:
    procedure = load_procedure(PROCEDURE)
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
