"""PyMeasure's and QCoDeS's own drivers, as they are, on the virtual 2400 over its TCP socket."""

from collections.abc import Iterator

import pytest

from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import CELL_OHM, PATIENT_MS, goes_off, needs, one_cell

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours


@pytest.fixture
def bench() -> Iterator[VirtualBench]:
    made = one_cell("keithley_2400")
    made.start()
    yield made
    made.stop()


@needs("pymeasure")
def test_pymeasure_sources_measures_fills_its_buffer_and_shuts_down(bench: VirtualBench) -> None:
    from pymeasure.instruments.keithley import Keithley2400

    smu = Keithley2400(
        bench.addresses["smu"], visa_library="@py", read_termination="\n", timeout=PATIENT_MS
    )
    assert smu.id.startswith("KEITHLEY INSTRUMENTS INC.,MODEL 2400")
    smu.reset()
    smu.source_mode = "voltage"
    smu.source_voltage_range = 2
    smu.compliance_current = 1e-3
    smu.current_nplc = 1
    smu.auto_zero_enabled = False
    smu.output_off_state = "zero"
    smu.wires = 2
    smu.source_voltage = 0.5
    smu.enable_source()
    assert smu.source_enabled
    assert bench.status()["outputs_v"]["smu"] == 0.5
    assert smu.current == pytest.approx(0.5 / CELL_OHM)
    everything = smu.measure_all()
    assert everything["voltage"] == pytest.approx(0.5)
    assert everything["resistance"] == pytest.approx(CELL_OHM, rel=1e-4)
    assert everything["status"] == 0
    smu.compliance_current = 1e-6
    everything = smu.measure_all()  # by :READ?
    assert everything["current"] == pytest.approx(1e-6)  # held by the limit
    assert everything["status"] == 8  # bit 3: compliance
    assert smu.current == pytest.approx(5e-6)  # by :MEASure?, which resets the limit: 17-2
    assert smu.compliance_current == pytest.approx(1.05e-4)
    smu.compliance_current = 1e-3
    smu.config_buffer(points=10)
    smu.start_buffer()
    smu.wait_for_buffer(timeout=5)
    assert smu.buffer_data.reshape(10, 5)[:, 1] == pytest.approx([5e-6] * 10)
    assert smu.means[1] == pytest.approx(5e-6)
    assert smu.check_errors() == []
    smu.shutdown()
    assert goes_off(bench)


@needs("pymeasure")
def test_pymeasure_sources_a_current_and_measures_its_voltage(bench: VirtualBench) -> None:
    from pymeasure.instruments.keithley import Keithley2400

    smu = Keithley2400(
        bench.addresses["smu"], visa_library="@py", read_termination="\n", timeout=PATIENT_MS
    )
    smu.reset()
    smu.source_mode = "current"
    smu.source_current_range = 1e-5
    smu.compliance_voltage = 2
    smu.source_current = 1e-5
    smu.enable_source()
    assert smu.voltage == pytest.approx(1e-5 * CELL_OHM)
    smu.compliance_voltage = 0.5
    assert smu.measure_all()["voltage"] == pytest.approx(0.5)
    assert smu.check_errors() == []
    smu.shutdown()
    assert goes_off(bench)


@needs("qcodes")
def test_qcodes_sources_measures_and_closes(bench: VirtualBench) -> None:
    from qcodes.instrument_drivers.Keithley import Keithley2400

    smu = Keithley2400("smu", bench.addresses["smu"], visalib="@py")
    try:
        assert smu.get_idn()["model"] == "2400"
        smu.reset()
        smu.write(":TRIG:COUN 1;:FORM:ELEM VOLT,CURR")  # which its constructor sends
        smu.mode("VOLT")
        assert smu.sense() == '"CURR:DC"'
        smu.rangev(2)
        smu.compliancei(1e-3)
        assert smu.compliancei() == pytest.approx(1e-3)
        smu.nplci(1)
        smu.volt(0.5)
        smu.output(True)
        assert smu.volt() == pytest.approx(0.5)
        assert smu.curr() == pytest.approx(0.5 / CELL_OHM)
        assert smu.resistance() == pytest.approx(CELL_OHM)
        smu.output(False)
        assert smu.ask(":SYST:ERR?") == '0,"No error"'
    finally:
        smu.close()
    assert goes_off(bench)
