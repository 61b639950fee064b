"""Readings at the end of a measuring range, where noise decides which range shows them."""

import numpy as np
import pytest

from hwloop_sim.virtual.instruments.keithley_2400.box import Keithley2400
from hwloop_sim.virtual.instruments.keithley_2450.box import Keithley2450
from hwloop_sim.virtual.instruments.keithley_2600b.box import Keithley2600B
from tests.virtual_link import OneBox

LIMITS = [(Keithley2400, 1.05), (Keithley2450, 1.05), (Keithley2600B, 1.02)]
ON = {
    Keithley2400: (":SOUR:VOLT 0.2", ":SENS:CURR:PROT 1E-2", ":OUTP ON"),
    Keithley2450: (":SOUR:VOLT 0.2", ":SOUR:VOLT:ILIM 1E-2", ":OUTP ON"),
    Keithley2600B: ("smua.source.limiti = 1e-2 smua.source.levelv = 0.2 smua.source.output = 1",),
}
ASK = {
    Keithley2400: ":READ?",
    Keithley2450: ":MEAS:CURR?",
    Keithley2600B: "print(smua.measure.i())",
}


def _currents_a(kind: type, current_a: float, *before: str) -> np.ndarray:
    """400 readings of one current by an instrument that is as noisy as the real one."""
    drive = "box.a" if kind is Keithley2600B else "box"
    box = OneBox(
        kind, drive=drive, conductance_s=current_a / 0.2, noise=np.random.default_rng(1)
    ).instrument
    for message in (*ON[kind], *before):
        box.receive(message)
    replies = [box.receive(ASK[kind]) or "" for _ in range(400)]
    place = 1 if kind is Keithley2400 else 0
    return np.array([float(reply.split(",")[place]) for reply in replies])


@pytest.mark.parametrize("range_a", [1e-6, 1e-5, 1e-4])
@pytest.mark.parametrize(("kind", "over"), LIMITS)
def test_automatic_range_shows_a_current_at_its_very_end(
    kind: type, over: float, range_a: float
) -> None:
    current_a = over * range_a * (1 - 1e-9)
    readings_a = _currents_a(kind, current_a)
    assert readings_a.max() < 1.01 * current_a  # an overflow would be 9.9e37
    assert (readings_a > current_a).any()  # some in the range above
    assert abs(readings_a.mean() / current_a - 1) < 2e-4


def test_locked_range_overflows_at_its_very_end_as_often_as_the_noise_says() -> None:
    current_a = 1.05e-5 * (1 - 1e-9)
    readings_a = _currents_a(Keithley2400, current_a, ":SENS:CURR:RANG 1E-5")
    assert 120 < (readings_a > 1).sum() < 280  # half of 400, at nine standard deviations
