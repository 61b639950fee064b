"""The stations that a lab copies, with virtual instruments at their addresses."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, dry_run_bench, open_bench
from tests.drivers.running_bench import PROCEDURE, ROOT, running_bench

EXAMPLES = [
    path
    for path in sorted((ROOT / "stations").glob("*.yaml"))
    if not path.stem.startswith("virtual")
]
by_name = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def _procedure(path: Path) -> Procedure:
    """The emulated device of the training, in an array that fits the station."""
    station = load_station(path)
    shift = "{distribution: lognormal, median_conductance_s: 30 nS, sigma: 0.5}"
    procedure = load_procedure(PROCEDURE, [f"backends.sim.device.shift={shift}"])
    array = procedure.array.model_dump()
    array |= {"rows": station.wiring.count("row"), "cols": station.wiring.count("col")}
    array |= {"biasing": station.scheme}
    if station.scheme == "floating":  # whose half-selected cells see more than half
        array["limits"]["half_select_v"] = 1.9
    return replace(procedure, array=ArraySettings.parse(array))


def _request(procedure: Procedure) -> OpenRequest:
    return OpenRequest(
        procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
    )


@by_name
def test_example_is_accepted_without_a_link_to_its_instruments(path: Path) -> None:
    bench = dry_run_bench(BenchSettings(station=path), _request(_procedure(path)))
    shape = bench.description.geometry.shape
    bench.check(PulseMap(np.full(shape, 2.0), 50e-3))


@by_name
def test_check_says_of_each_generator_that_it_limits_no_current_and_of_no_other(path: Path) -> None:
    bench = dry_run_bench(BenchSettings(station=path), _request(_procedure(path)))
    said = [event.message for event in bench.take_events() if "limits no current" in event.message]
    if "generator" in path.stem:  # 50 ohm, the data sheet's; half of -3 V under V/2
        assert len(said) == 1
        assert said[0].startswith("generator.1 on the rows limits no current")
        assert said[0].endswith("a shorted cell takes up to 30 mA through 50 ohm at 1.5 V")
    else:
        assert said == []


@by_name
def test_example_pulses_and_reads_where_virtual_instruments_stand(
    path: Path, tmp_path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'address: ("?)(ASRL|/dev)[^",}\n]*\1', "address: virtual:serial", text)
    text = re.sub(r'address: ("?)(TCPIP|GPIB)[^",}\n]*\1', "address: virtual:socket", text)
    station = tmp_path / path.name
    station.write_text(text + "\nvirtual: {noise: false}\n", encoding="utf-8")
    procedure = _procedure(path)
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings(station=station), _request(procedure)) as bench,
    ):
        before_conductance_s = virtual.device.conductance_s.copy()
        map_v = np.zeros(before_conductance_s.shape)
        map_v[0, 0] = 2.0
        bench.pulse(PulseMap(map_v, 50e-3))
        reading = bench.read(ReadMap.every_cell(before_conductance_s.shape, read_v=0.05))
        after_conductance_s = virtual.device.conductance_s
        assert after_conductance_s[0, 0] > before_conductance_s[0, 0] * 1.1
        assert virtual.circuit.pulses.sum() == virtual.circuit.pulses[0, 0] == 1
        assert not reading.flags.any()
        if virtual.station.scheme != "floating":  # else the sneak paths are in it
            np.testing.assert_allclose(
                reading.current_a / 0.05, after_conductance_s, rtol=1e-3, atol=2e-10
            )
        assert virtual.status()["unmodelled"] == []
