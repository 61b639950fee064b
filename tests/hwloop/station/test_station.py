"""What is wrong with a station is said before anything is opened."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwloop.array.geometry import Geometry
from hwloop.errors import ConfigError
from hwloop.station.station import Station, load_station

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "name": "lab",
    "scheme": "V/2",
    "instruments": {
        "smu": {"kind": "keithley_2600b", "address": "TCPIP::10.0.0.1::5025::SOCKET"},
        "matrix": {"kind": "keithley_707b", "address": "TCPIP::10.0.0.2::5025::SOCKET"},
    },
    "wiring": {
        "drive": {"rows": "smu.a", "columns": "smu.b"},
        "lines": {
            "row0": {"smu.a": "1A01", "gnd": "1C01"},
            "row1": {"smu.a": "1A02", "gnd": "1C02"},
            "col0": {"smu.b": "1B03", "gnd": "1C03"},
        },
    },
}


def _with(path: str, value: object) -> dict[str, Any]:
    station = deepcopy(GOOD)
    *parents, last = path.split("/")
    place: Any = station
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return station


def test_good_station_has_its_wires_and_fits_its_array() -> None:
    station = Station.parse(GOOD)
    assert station.matrices == ["matrix"]
    assert station.outputs == ["smu.a", "smu.b"]
    station.check_geometry(Geometry.parse({"rows": 2, "cols": 1, "cell": "1R"}))
    with pytest.raises(ConfigError, match="wires 2 row lines; the array has 3"):
        station.check_geometry(Geometry.parse({"rows": 3, "cols": 1, "cell": "1R"}))


LINES = "wiring/lines"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (f"{LINES}/row1/gnd", None, r"row1: no way to ground; add a channel to gnd"),
        (f"{LINES}/row1/gnd", "1C01", r"channel 1C01 of matrix is on two wires: row0 to gnd, row1"),
        (f"{LINES}/row1/smu.a", None, r"V/2 cannot be made: smu\.a does not reach row1"),
        (f"{LINES}/row1", "smu.a", r"smu\.a is soldered to row1, which would follow whenever row0"),
        (f"{LINES}/row3", {"gnd": "1C09"}, r"line 'row3': lines are row0, row1, …, col0, …"),
        (f"{LINES}/row1/smx.a", "1D01", r"row1: there is no 'smx\.a'"),
        (f"{LINES}/row1/matrix", "1D01", r"row1: 'matrix' is the matrix itself"),
        ("wiring/drive/columns", None, r"scheme V/2 needs wiring\.drive\.columns"),
        ("wiring/drive/columns", "smu.a", r"one output cannot drive two things"),
        ("wiring/drive/rows", "smuu.a", r"wiring\.drive\.rows: there is no 'smuu\.a'"),
        ("wiring/series_ohm", {"smu.c": 100}, r"series_ohm: no line reaches an output 'smu\.c'"),
        ("wiring/series_ohm", {"smu.a": -1}, r"smu\.a: -1 ohm is below 0"),
        ("wiring/cable_f", "-1 pF", r"cable_f"),
        ("wiring/cable_f", "5 pf", r"cable_f"),
        ("wiring/drive/gates", "smu.c", r"wiring\.drive\.gates: scheme V/2 has no use for it"),
        ("scheme", "V/3", r"scheme V/3 needs wiring\.drive\.other_columns"),
        ("scheme", "1T1R", r"scheme 1T1R needs wiring\.drive\.gates"),
        ("instruments/matrix/address", "TCPIP::10.0.0.1::5025::SOCKET", r"2 of them have the address"),
        ("instruments/matrix/address", "virtual:socket", r"real and virtual addresses cannot be"),
        ("instruments/smu/address", "virtual:sokcet", r"smu\.address: .* are virtual:socket, virt"),
        ("instruments/smu/adress", "x", r"unknown key"),  # codespell:ignore adress
        ("instruments/smu/limit_v", -1, r"limit_v"),
        ("settle", 1, r"settle"),
        ("name", "my lab", r"my lab"),
    ],
)  # fmt: skip
def test_contradiction_is_named(path: str, value: object, words: str) -> None:
    station = _with(path, value)
    with pytest.raises(ConfigError, match=words):
        Station.parse(station)


def test_cable_has_a_capacitance_in_farads_and_none_unless_the_file_says_so() -> None:
    assert Station.parse(_with("wiring/cable_f", "500 pF")).wiring.cable_f == 500e-12
    assert Station.parse(GOOD).wiring.cable_f == 0


def test_output_soldered_to_two_lines_is_refused() -> None:
    station = _with(f"{LINES}/row1", "smu.a")
    station["wiring"]["lines"]["row0"] = "smu.a"
    with pytest.raises(ConfigError, match=r"smu\.a is soldered to 2 lines: row0, row1"):
        Station.parse(station)


def test_line_that_stands_twice_in_the_file_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    text = yaml.safe_dump(GOOD, sort_keys=False)
    path.write_text(text.replace("    row1:", "    row0:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"lab\.yaml: line \d+: the key 'row0' stands twice"):
        load_station(path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "stations").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_example_station_is_valid_and_says_how_it_is_run(path: Path) -> None:
    station = load_station(path)
    assert station.name == path.stem
    assert f"stations/{path.name}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("witness", "message"),
    [
        ({"probes": {1: "row9"}}, r"witness\.probes\.1: no line 'row9'"),
        ({"probes": {}}, r"witness\.probes"),
    ],
)
def test_oscilloscope_of_a_station_has_its_probes_on_lines_of_its_own_bench(
    witness: dict[str, object], message: str
) -> None:
    data = yaml.safe_load((ROOT / "stations/virtual_4x4.yaml").read_text(encoding="utf-8"))
    assert Station.parse(data).witness is not None
    data["witness"] = {"address": "virtual:socket", **witness}
    with pytest.raises(ConfigError, match=message):
        Station.parse(data)


def test_oscilloscope_has_an_address_of_its_own() -> None:
    data = {**GOOD, "witness": {"address": "TCPIP::10.0.0.1::5025::SOCKET"}}
    with pytest.raises(ConfigError, match=r"witness\.address: .* is that of an instrument"):
        Station.parse(data)
