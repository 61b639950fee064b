"""The 81160A's driver against the virtual 81160A, and the rules that the box obeys.

Pages of the 81150A/81160A user's guide; "PyMeasure": its tests with the instrument.
"""

from __future__ import annotations

import pytest

from hwloop.errors import InstrumentFault
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.keysight_81160a import Keysight81160A, Keysight81160ASettings
from hwloop_sim.virtual.instruments.keysight_81160a import Keysight81160A as Virtual81160A
from tests.virtual_link import OneBox

CONDUCTANCE_S = 1e-5
SHARE = 1 / (1 + 50 * CONDUCTANCE_S)  # of the open-circuit voltage, behind 50 ohm


def _box() -> OneBox:
    return OneBox(Virtual81160A, conductance_s=CONDUCTANCE_S, settings={"channels": 1})


def _ready(range_v: float = 2.0) -> tuple[OneBox, Keysight81160A, BurstOutput]:
    box = _box()
    generator = Keysight81160A(box.link, Keysight81160ASettings(channels=1))
    generator.verify_identity()
    generator.reset()
    output = generator.outputs()[""]
    assert isinstance(output, BurstOutput)
    output.set_up(range_v=range_v)
    output.source_enabled = True
    generator.check_errors()
    return box, generator, output


def _error(box: OneBox) -> str:
    return box.link.query(":SYST:ERR?")


def _outputs_v(box: OneBox) -> list[float]:
    volts = [change.outputs_v["box"] for change in box.circuit.changes]
    return [v for v in volts if v is not None]


@pytest.mark.parametrize(
    ("level_v", "width_s", "count"), [(1.5, 1.5e-9, 3), (-1.2, 0.02, 2), (0.3, 1e-6, 1)]
)
def test_every_pulse_reaches_the_cell_with_its_amplitude_and_width(
    level_v: float, width_s: float, count: int
) -> None:
    box, generator, output = _ready()
    output.apply_pulses(level_v=level_v, width_s=width_s, count=count)
    generator.check_errors()
    pulses = box.device.pulses
    # The largest load that it can be told is 1 MΩ: into an open circuit it gives 50 ppm more.
    assert [p.amplitude_v[0, 0] for p in pulses] == pytest.approx(
        [level_v * SHARE * (1 + 5e-5)] * count, rel=1e-6
    )
    assert [p.width_s for p in pulses] == pytest.approx([width_s] * count, rel=1e-6)
    assert box.circuit.output_volts()["box"] == pytest.approx(0.0, abs=1e-9)


def test_limits_bound_what_the_output_may_be_told() -> None:
    box, _, _ = _ready(range_v=1.0)
    box.link.write(":VOLT1:HIGH 1.5")
    assert _error(box).startswith("-221")
    assert max(_outputs_v(box)) < 1.2


def test_output_that_is_made_safe_is_at_zero_and_off() -> None:
    box, generator, output = _ready()
    output.source_voltage = 1.0
    generator.safe_state()
    assert box.instrument.output_states() == {"": False}
    assert box.circuit.output_volts()["box"] is None
    assert _outputs_v(box)[-1] == pytest.approx(0.0, abs=1e-4)


def test_read_back_of_a_limit_that_was_changed_is_a_fault() -> None:
    box, _, output = _ready()
    box.instrument.trip()
    receive = box.instrument.receive

    def changed(message: str) -> str | None:
        if message.startswith(":VOLT1:LIM:HIGH "):
            message = ":VOLT1:LIM:HIGH 9"
        return receive(message)

    box.link._receive = changed
    with pytest.raises(InstrumentFault, match=r"LIM:HIGH was set to 2\.1 but reads back 9"):
        output.set_up(range_v=2.0)


def test_box_ignores_a_trigger_during_a_burst_page_92() -> None:
    box, generator, _ = _ready()
    box.link.write(":PULS:PER1 0.2;:PULS:WIDT1 0.05;:VOLT1:LOW 0;:VOLT1:HIGH 1.5;:ARM:SOUR1 MAN")
    box.link.write("*TRG;*TRG")
    generator.check_errors()
    box.clock.advance(1.0)
    assert len(box.device.pulses) == 1


def test_box_does_nothing_at_a_trigger_while_another_source_is_listened_to() -> None:
    box, generator, _ = _ready()
    box.link.write(":VOLT1:HIGH 1.5;*TRG")  # parked: EXT
    generator.check_errors()
    box.clock.advance(1.0)
    assert box.device.pulses == []


def test_box_answers_opc_before_a_burst_has_ended() -> None:
    # Unconfirmed; the driver waits for the time of the burst either way.
    box, _, _ = _ready()
    box.link.write(":PULS:PER1 400;:PULS:WIDT1 100;:VOLT1:HIGH 1.5;:ARM:SOUR1 MAN")
    assert box.link.query("*TRG;*OPC?") == "1"
    assert box.circuit.output_volts()["box"] == pytest.approx(1.5, rel=1e-3)


def test_box_refuses_a_period_below_the_width_and_1_6_edges_page_142() -> None:
    box = _box()
    box.link.write("*RST;:FUNC1 PULS;:PULS:TRAN1 1E-8;:PULS:PER1 1E-6;:PULS:WIDT1 9.9E-7")
    assert _error(box).startswith("-221")
    assert float(box.link.query(":PULS:WIDT1?")) == pytest.approx(9.84e-7)


def test_shortest_pulse_fits_its_period_and_edges_page_142() -> None:
    _, generator, output = _ready()
    output.apply_pulses(level_v=1.0, width_s=1.5e-9)
    generator.check_errors()


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (":OUTP1:LOAD", 0.3, 1e6),
        (":PULS:WIDT1", 1.5e-9, 1e6),
        (":FUNC1:PULS:TRAN", 1e-9, 1e3),
        (":TRIG1:COUN", 1, 2_147_483_647),
    ],
)
def test_box_has_the_bounds_of_the_instrument_that_pymeasure_met(
    header: str, low: float, high: float
) -> None:
    box = _box()
    box.link.write("*RST;:PULS:PER1 1e6")
    for value in (low, high * (1 - 1e-6)):
        box.link.write(f"{header} {value:.9g};*CLS")
        if header != ":PULS:WIDT1" or value == low:
            assert float(box.link.query(f"{header}?")) == pytest.approx(value, rel=1e-5)
    for beyond in (low * 0.9, high * 1.1):
        box.link.write(f"{header} {beyond:.9g}")
        assert _error(box).startswith("-222")


@pytest.mark.parametrize("source", ["IMM", "INT2", "EXT", "MAN"])
def test_box_arms_by_the_sources_that_pymeasure_sends(source: str) -> None:
    box = _box()
    box.link.write(f":ARM:SOUR1 {source}")
    assert box.link.query(":ARM:SOUR1?") == source
