"""PyMeasure's and QCoDeS's own drivers, as they are, on the virtual 2600B over its TCP socket."""

from collections.abc import Iterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from hwloop.array.settings import ArraySettings
from hwloop.station.station import Station
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import PATIENT_MS

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours

CELL_OHM = 1e5
LIMITS = {
    "positive_v": 3,
    "negative_v": -3,
    "read_v": 0.2,
    "half_select_v": 1.1,
    "current_a": 1e-3,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1e-3,
    "pulses_per_device": 1000,
}


def _needs(package: str) -> pytest.MarkDecorator:
    absent = find_spec(package) is None
    return pytest.mark.skipif(
        absent, reason=f"{package} is not installed: pip install hwloop[third-party]"
    )


def _bench(model: str) -> VirtualBench:
    """Channel a across a resistor; channel b on nothing."""
    station = Station.parse(
        {
            "name": "one_cell",
            "scheme": "floating",
            "instruments": {
                "smu": {
                    "kind": "keithley_2600b",
                    "address": "virtual:socket",
                    "settings": {"model": model},
                }
            },
            "wiring": {"drive": {"rows": "smu.a"}, "lines": {"row0": "smu.a", "col0": "gnd"}},
            "self_test": {"dummy_ohm": [[CELL_OHM]]},
            "virtual": {"noise": False},
        }
    )
    array = ArraySettings.parse(
        {"rows": 1, "cols": 1, "biasing": "floating", "limits": LIMITS, "read": {"read_v": 0.1}}
    )
    device = {"model": "pulse_table", "calibration": "shumilin2024_2V_50ms"}
    sim = SimSettings.parse({"device": device})
    return VirtualBench(station, array, sim, seed=1, dummy=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[VirtualBench]:
    made = _bench(getattr(request, "param", "2614B"))
    made.start()
    yield made
    made.stop()


@_needs("pymeasure")
def test_pymeasure_sources_measures_and_shuts_down(
    bench: VirtualBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymeasure.instruments.keithley import Keithley2600, keithley2600

    monkeypatch.setattr(keithley2600, "time", SimpleNamespace(sleep=lambda _: None))  # of its ramps
    smu = Keithley2600(bench.addresses["smu"], visa_library="@py", timeout=PATIENT_MS)
    # A socket has no end of message but this.
    smu.adapter.connection.read_termination = "\n"
    smu.adapter.connection.write_termination = "\n"
    try:
        assert "Model 2614B" in smu.id
        channel = smu.ChA
        channel.apply_voltage(voltage_range=2, compliance_current=1e-3)
        assert channel.source_mode == "voltage"
        assert channel.compliance_current == 1e-3
        channel.measure_current(nplc=1)
        channel.source_voltage = 0.5
        channel.source_output = "ON"
        assert channel.current == pytest.approx(0.5 / CELL_OHM, rel=1e-5)
        assert channel.voltage == pytest.approx(0.5, rel=1e-5)
        assert channel.resistance == pytest.approx(CELL_OHM, rel=1e-5)
        assert bench.circuit.output_volts()["smu.a"] == 0.5
        channel.compliance_current = 1e-6
        assert channel.current == pytest.approx(1e-6, rel=1e-5)  # held by the limit
        channel.ramp_to_voltage(0.1, steps=3, pause=0)
        assert smu.next_error == (0, "Queue Is Empty")
        channel.shutdown()
        assert channel.source_voltage == 0
        assert bench.instruments["smu"].output_states() == {"a": False, "b": False}
        assert smu.next_error == (0, "Queue Is Empty")
    finally:
        smu.adapter.close()


@pytest.fixture
def qcodes_smu(bench: VirtualBench) -> Iterator[Any]:
    from qcodes.instrument_drivers.Keithley import Keithley2614B

    made = Keithley2614B("smu", bench.addresses["smu"], visalib="@py")
    yield made
    made.close()


@_needs("qcodes")
def test_qcodes_sources_measures_and_shuts_down(bench: VirtualBench, qcodes_smu: Any) -> None:
    assert qcodes_smu.get_idn()["model"] == "2614B"
    smu = qcodes_smu.smua
    smu.mode("voltage")
    smu.sourcerange_v(2)
    smu.limiti(1e-3)
    assert (smu.sourcerange_v(), smu.limiti()) == (2, 1e-3)
    smu.nplc(0.1)
    smu.volt(0.5)
    smu.output("on")
    assert smu.curr() == pytest.approx(0.5 / CELL_OHM, rel=1e-5)
    assert smu.volt() == pytest.approx(0.5, rel=1e-5)
    assert smu.res() == pytest.approx(CELL_OHM, rel=1e-5)
    assert smu.curr.measurement_status.name == "NORMAL"
    smu.limiti(1e-6)
    assert smu.curr() == pytest.approx(1e-6, rel=1e-5)
    assert smu.curr.measurement_status.name == "CURRENT_COMPLIANCE_ERROR"
    smu.volt(0)
    smu.output("off")
    assert qcodes_smu.ask("errorqueue.count") == "0.00000e+00"
    assert bench.instruments["smu"].output_states() == {"a": False, "b": False}
    assert bench.status()["lines_v"]["row0"] == 0


@_needs("qcodes")
def test_qcodes_sweeps_by_a_script_and_reads_binary_blocks(
    bench: VirtualBench, qcodes_smu: Any
) -> None:
    from qcodes.dataset import LinSweep

    smu = qcodes_smu.smua
    smu.limiti(1e-3)
    smu.nplc(0.05)
    smu.output("on")
    smu.setup_fastsweep(LinSweep(smu.volt, 0.1, 0.5, 5, delay=1e-3))
    wanted_a = [0.1 / CELL_OHM * n for n in range(1, 6)]
    # Each point is read soon after its step, when the level has settled to 0.1 %.
    assert list(smu.fastsweep()) == pytest.approx(wanted_a, rel=1e-3)
    smu.timetrace_npts(20)
    assert list(smu.timetrace()) == pytest.approx([0.5 / CELL_OHM] * 20, rel=1e-5)
    smu.reset()
    assert not any(bench.instruments["smu"].output_states().values())  # reset asked questions
    assert qcodes_smu.ask("errorqueue.count") == "0.00000e+00"
