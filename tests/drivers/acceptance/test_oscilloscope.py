"""The oscilloscope shows the voltage of a line as the circuit has it, and its driver reads it.

Pages: programmer's guide of the InfiniiVision 3000 X-Series.
"""

from __future__ import annotations

import pytest

from hwloop.errors import ConfigError, UnexpectedReply
from hwloop.station.parts import WitnessEntry
from hwloop_drivers.acceptance.oscilloscope import (
    InfiniiVisionSettings,
    Oscilloscope,
    Shot,
    open_oscilloscope,
)
from hwloop_drivers.acceptance.waveform import level_after, level_during, pulses_in
from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_sim.virtual.bench.one_box import OneBox
from hwloop_sim.virtual.instruments.keithley_2400.box import Keithley2400
from hwloop_sim.virtual.witnesses.keysight_infiniivision import KeysightInfiniiVision

ENTRY = WitnessEntry.parse({"address": "TCPIP::x::5025::SOCKET", "probes": {1: "row0", 3: "col0"}})
FULL_SCALE_V = 4.0
STEP_V = FULL_SCALE_V / 2**12
SHOT = Shot({"row0": (-2.0, 2.0), "col0": (-2.0, 2.0)}, 40e-3, trigger="row0", level_v=0.7)


class Watched:
    """An output on row0, the column on ground, and the oscilloscope."""

    def __init__(self) -> None:
        self.box = OneBox(Keithley2400)
        settings = {"probes": ENTRY.probes}
        self.scope = KeysightInfiniiVision(
            "witness", self.box.circuit, self.box.clock, noise=None, settings=settings
        )
        self.link = InProcessLink(self.scope.receive)
        self.driver = Oscilloscope(self.link, ENTRY, InfiniiVisionSettings())
        self.driver.prepare()

    def hold(self, volts: float, duration_s: float) -> None:
        self.box.circuit.drive("box", volts=volts)
        self.box.clock.advance(duration_s)


def test_pulse_has_its_level_its_width_and_its_end() -> None:
    watched = Watched()
    watched.hold(0.0, 1.0)
    watched.driver.arm(SHOT)
    watched.hold(1.5, 10e-3)
    watched.hold(0.0, 0.0)
    traces = watched.driver.capture(SHOT)
    (pulse,) = pulses_in(traces["row0"], 1.5)
    assert pulse.begin_s == pytest.approx(0.0, abs=traces["row0"].step_s)
    assert pulse.width_s == pytest.approx(10e-3, abs=2 * traces["row0"].step_s)
    assert pulse.level_v == pytest.approx(1.5, abs=STEP_V)
    assert level_after(traces["row0"], pulse) == pytest.approx(0.0, abs=STEP_V)
    assert level_during(traces["col0"], pulse) == pytest.approx(0.0, abs=STEP_V)


def test_pulse_that_begins_at_the_very_moment_of_arming_is_seen() -> None:
    watched = Watched()
    watched.hold(0.0, 1.0)
    watched.driver.arm(SHOT)
    watched.box.circuit.drive("box", volts=0.9)
    watched.hold(0.9, 5e-3)
    watched.hold(0.0, 1e-3)
    assert len(pulses_in(watched.driver.capture(SHOT)["row0"], 0.9)) == 1


def test_falling_edge_of_a_negative_pulse_triggers_and_a_rising_one_does_not() -> None:
    shot = Shot({"row0": (-2.0, 2.0)}, 40e-3, trigger="row0", level_v=-0.5)
    watched = Watched()
    watched.driver.arm(shot)
    watched.hold(1.0, 10e-3)
    watched.hold(-1.0, 4e-3)
    watched.hold(0.0, 1e-3)
    (pulse,) = pulses_in(watched.driver.capture(shot)["row0"], -1.0)
    assert pulse.width_s == pytest.approx(4e-3, abs=2 * 40e-3 / 10_000)


def test_no_pulse_gives_no_trace() -> None:
    watched = Watched()
    watched.driver.arm(SHOT)
    watched.hold(0.3, 10e-3)
    assert watched.driver.capture(SHOT) == {}


def test_train_shows_every_pulse_and_their_distance() -> None:
    watched = Watched()
    watched.driver.arm(SHOT)
    for _ in range(3):
        watched.hold(1.0, 2e-3)
        watched.hold(0.0, 3e-3)
    found = pulses_in(watched.driver.capture(SHOT)["row0"], 1.0)
    assert [p.width_s for p in found] == pytest.approx([2e-3] * 3, abs=1e-5)
    assert found[1].begin_s - found[0].begin_s == pytest.approx(5e-3, abs=1e-5)


def test_voltage_beyond_the_screen_is_cut_at_its_edge() -> None:
    watched = Watched()
    watched.driver.arm(SHOT)
    watched.hold(3.0, 5e-3)
    watched.hold(0.0, 1e-3)
    (pulse,) = pulses_in(watched.driver.capture(SHOT)["row0"], 3.0)
    assert pulse.level_v == pytest.approx(2.0, abs=2 * STEP_V)


def test_rest_shows_the_level_of_now() -> None:
    watched = Watched()
    watched.hold(0.11, 1.0)
    volts, unsure_v = watched.driver.rest_v(0.2)["row0"]
    assert volts == pytest.approx(0.11, abs=0.4 / 2**12)
    assert unsure_v == pytest.approx(0.02 * 0.4)


def test_armed_event_is_cleared_by_reading_it_page_192() -> None:
    watched = Watched()
    watched.link.write(":SINGle")
    assert watched.link.query(":AER?") == "1"
    assert watched.link.query(":AER?") == "0"


def test_run_bit_is_set_until_the_trigger_has_come_page_207() -> None:
    watched = Watched()
    watched.driver.arm(SHOT)
    assert int(watched.link.query(":OPERegister:CONDition?")) & 8
    watched.hold(1.0, 1e-3)
    assert not int(watched.link.query(":OPERegister:CONDition?")) & 8


def test_preamble_has_the_ten_fields_of_page_940() -> None:
    watched = Watched()
    watched.driver.arm(SHOT)
    watched.hold(1.0, 1e-3)
    watched.driver.capture(SHOT)
    fields = watched.link.query(":WAVeform:PREamble?").split(",")
    form, _, points, _, step_s, begin_s, reference, step_v, middle_v, middle = fields
    assert (form, points, reference, middle) == ("1", "10000", "0", "32768")
    assert float(step_s) == pytest.approx(40e-3 / 10_000)
    assert float(begin_s) == pytest.approx(-4e-3)  # LEFT: one division of ten before the trigger
    assert float(step_v) == pytest.approx(FULL_SCALE_V / 65536)
    assert float(middle_v) == 0.0


def test_another_instrument_is_refused_by_its_identity() -> None:
    watched = Watched()
    watched.scope.identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,0,C30"
    with pytest.raises(UnexpectedReply, match=r"expected an InfiniiVision.*MODEL 2400"):
        watched.driver.prepare()


def test_unknown_kind_is_named_with_its_key() -> None:
    entry = WitnessEntry.parse({"kind": "abacus", "address": "TCPIP::x::1::SOCKET"})
    with pytest.raises(ConfigError, match=r"witness\.kind.*abacus"):
        open_oscilloscope(entry, entry.address)
