"""The 2400's driver against the virtual 2400, in one process."""

import pytest

from hwloop_drivers.instruments.keithley_2400 import Keithley2400, Keithley2400Settings
from hwloop_drivers.roles import SourceSetup, TrainPoint
from hwloop_sim.virtual.instruments.keithley_2400 import Keithley2400 as VirtualKeithley2400
from tests.virtual_link import OneBox


def test_pulse_train_reaches_the_device_with_its_amplitude_and_width() -> None:
    box = OneBox(VirtualKeithley2400)
    smu = Keithley2400(box.link, Keithley2400Settings())
    smu.reset()
    smu.set_up(SourceSetup(range_v=2, compliance_a=1e-3))
    smu.source_enabled = True
    smu.apply_train([TrainPoint(1.5, 2e-3), TrainPoint(0.0, 2e-3), TrainPoint(1.5, 2e-3)])
    smu.check_errors()
    assert [p.amplitude_v[0, 0] for p in box.device.pulses] == pytest.approx([1.5, 1.5])
    assert [p.width_s for p in box.device.pulses] == pytest.approx([2e-3, 2e-3])
