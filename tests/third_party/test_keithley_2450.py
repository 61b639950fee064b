"""PyMeasure's and QCoDeS's own drivers, as they are, on the virtual 2450 over its TCP socket."""

from collections.abc import Iterator

import pytest

from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import CELL_OHM, PATIENT_MS, goes_off, needs, one_cell

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours


@pytest.fixture
def bench() -> Iterator[VirtualBench]:
    made = one_cell("keithley_2450")
    made.start()
    yield made
    made.stop()


@needs("pymeasure")
def test_pymeasure_sources_measures_and_shuts_down(bench: VirtualBench) -> None:
    from pymeasure.instruments.keithley import Keithley2450

    smu = Keithley2450(
        bench.addresses["smu"], visa_library="@py", read_termination="\n", timeout=PATIENT_MS
    )
    assert "MODEL 2450" in smu.id
    smu.reset()
    smu.apply_voltage(voltage_range=2, compliance_current=1e-3)
    assert smu.source_mode == "voltage"
    assert smu.compliance_current == pytest.approx(1e-3)
    smu.voltage_output_off_state = "ZERO"
    smu.measure_current(nplc=1, auto_range=True)
    smu.source_voltage = 0.5
    smu.enable_source()
    assert smu.source_enabled
    assert smu.current == pytest.approx(0.5 / CELL_OHM)
    assert bench.status()["outputs_v"]["smu"] == 0.5
    smu.measure_resistance(auto_range=True)
    assert smu.resistance == pytest.approx(CELL_OHM, rel=1e-5)
    smu.measure_current(nplc=0.1)
    smu.compliance_current = 1e-6
    # Held by the limit; settled to 0.1 % when the source delay of its own has passed.
    assert smu.current == pytest.approx(1e-6, rel=1e-3)
    assert smu.check_errors() == []
    smu.ramp_to_voltage(0.1, steps=2, pause=0)
    smu.ramp_to_voltage(0, steps=1, pause=0)  # the ramp of shutdown() has nothing left to wait for
    smu.shutdown()
    assert goes_off(bench)


@needs("pymeasure")
def test_pymeasure_sources_a_current_and_measures_its_voltage(bench: VirtualBench) -> None:
    from pymeasure.instruments.keithley import Keithley2450

    smu = Keithley2450(
        bench.addresses["smu"], visa_library="@py", read_termination="\n", timeout=PATIENT_MS
    )
    smu.reset()
    smu.apply_current(current_range=1e-5, compliance_voltage=2)
    smu.measure_voltage(nplc=1, auto_range=True)
    smu.source_current = 1e-5
    smu.enable_source()
    assert smu.voltage == pytest.approx(1e-5 * CELL_OHM)
    smu.compliance_voltage = 0.5
    assert smu.voltage == pytest.approx(0.5)
    assert smu.check_errors() == []
    smu.disable_source()
    assert goes_off(bench)
    smu.adapter.close()


@needs("qcodes")
def test_qcodes_sources_measures_sweeps_and_closes(bench: VirtualBench) -> None:
    from qcodes.instrument_drivers.Keithley import Keithley2450

    smu = Keithley2450("smu", bench.addresses["smu"], visalib="@py")
    try:
        assert smu.get_idn()["model"] == "2450"
        smu.reset()
        smu.terminals("front")
        smu.source.function("voltage")
        smu.source.range(2)
        smu.source.limit(1e-3)
        assert smu.source.limit() == pytest.approx(1e-3)
        smu.sense.function("current")
        smu.sense.auto_range(True)
        smu.sense.nplc(1)
        smu.source.voltage(0.5)
        with smu.output_enabled.set_to(True):
            assert smu.sense.current() == pytest.approx(0.5 / CELL_OHM)
            assert smu.source.voltage() == pytest.approx(0.5)
            assert smu.source.limit_tripped() is False
            smu.source.limit(1e-6)
            assert smu.sense.current() == pytest.approx(1e-6)
            assert smu.source.limit_tripped() is True
            smu.source.limit(1e-3)
        assert goes_off(bench)
        with smu.buffer("kept", 100) as kept:
            kept.elements(["measurement", "source_value"])
            smu.source.sweep_setup(0.0, 0.5, 6, buffer_name="kept")
            smu.sense.setpoints = (smu.source.sweep_axis,)
            smu.output_enabled(True)
            assert smu.sense.sweep.get() == pytest.approx(
                [0.1 / CELL_OHM * n for n in range(6)], abs=1e-12
            )
            smu.output_enabled(False)
            pairs = smu.sense.sweep.get_selected()
            assert [float(v) for v in pairs[-2:]] == pytest.approx([0.5 / CELL_OHM, 0.5])
        assert smu.ask(":SYST:ERR?") == '0,"No error"'
    finally:
        smu.close()
    assert goes_off(bench)
