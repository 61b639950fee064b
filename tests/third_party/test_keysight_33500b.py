"""PyMeasure's and QCoDeS's own drivers, as they are, on the virtual 33500B over its TCP socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import PATIENT_MS, goes_off, needs, one_cell

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours


@pytest.fixture
def bench() -> Iterator[VirtualBench]:
    """Output 1 of a 33522B across a resistor; output 2 on nothing."""
    made = one_cell("keysight_33500b", channel="1")
    made.start()
    yield made
    made.stop()


@needs("pymeasure")
def test_pymeasure_sets_a_pulse_fires_it_and_switches_off(bench: VirtualBench) -> None:
    from pymeasure.instruments.agilent import Agilent33500

    generator = Agilent33500(bench.addresses["smu"], visa_library="@py", timeout=PATIENT_MS)
    # A socket has no end of message but this.
    generator.adapter.connection.read_termination = "\n"
    generator.adapter.connection.write_termination = "\n"
    try:
        assert "33522B" in generator.id
        generator.reset()
        one = generator.ch_1
        one.output_load = "INF"
        one.shape = "PULS"
        one.voltage_high = 2
        one.voltage_low = 0
        one.pulse_period = 0.2
        one.pulse_width = 0.05
        one.pulse_transition = 1e-8
        one.burst_mode = "TRIG"
        one.burst_ncycles = 3
        generator.write("TRIG1:SOUR BUS")
        one.burst_state = True
        one.output = True
        assert (one.output_load, one.shape, one.voltage_high) == (9.9e37, "PULS", 2)
        assert (one.pulse_width, one.pulse_period, one.burst_ncycles) == (0.05, 0.2, 3)
        assert (one.amplitude, one.offset) == (2, 1)
        assert one.pulse_dutycycle == pytest.approx(25)
        generator.trigger()
        assert generator.ask("*OPC?").strip() == "1"
        assert bench.circuit.pulses[0, 0] == 3
        generator.ch_2.shape = "DC"
        generator.ch_2.offset = 0.5
        assert bench.status()["outputs_on"] == {"smu.1": True, "smu.2": False}
        one.output = False
        assert generator.check_errors() == []
    finally:
        generator.shutdown()
        generator.adapter.close()
    assert goes_off(bench)


@pytest.fixture
def qcodes_generator(bench: VirtualBench) -> Iterator[Any]:
    from qcodes.instrument_drivers.Keysight import Keysight33522B

    made = Keysight33522B("generator", bench.addresses["smu"], visalib="@py")
    yield made
    made.close()


@needs("qcodes")
def test_qcodes_sets_a_waveform_fires_a_burst_and_switches_off(
    bench: VirtualBench, qcodes_generator: Any
) -> None:
    generator = qcodes_generator
    assert generator.get_idn()["model"] == "33522B"
    generator.write("*RST")
    one = generator.ch1
    one.function_type("PULS")
    one.amplitude_unit("VPP")
    one.amplitude(1.0)  # into 50 Ω: 2 V into this cell
    one.offset(0.5)
    one.frequency(5)
    one.pulse_width(0.05)
    one.burst_mode("N Cycle")
    one.burst_ncycles(2)
    one.trigger_source("BUS")
    one.burst_state("ON")
    one.output("ON")
    assert (one.function_type(), one.amplitude(), one.offset()) == ("PULS", 1.0, 0.5)
    assert one.pulse_width() == 0.05
    assert (one.burst_ncycles(), one.burst_mode(), one.output()) == (2, "N Cycle", "ON")
    generator.force_trigger()
    assert generator.ask("*OPC?") == "1"
    assert bench.circuit.pulses[0, 0] == 2
    seen_v = [change.outputs_v["smu.1"] for change in bench.circuit.changes]
    assert max(v for v in seen_v if v is not None) == pytest.approx(2.0)
    one.output_polarity("INV")
    one.burst_phase(0)
    one.trigger_delay(0)
    generator.ch2.function_type("SIN")
    generator.ch2.frequency(1e6)
    assert generator.ch2.frequency() == pytest.approx(1e6)
    generator.snapshot(update=True)
    one.output("OFF")
    assert generator.error() == (0, "No error")
    assert bench.status()["outputs_on"] == {"smu.1": False, "smu.2": False}
