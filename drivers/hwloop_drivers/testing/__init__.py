"""The conformance suites of drivers: the rules that every driver must keep.

A driver is tried on an instrument, real or virtual, whose output drives a known resistor, or whose
relays are watched. ``make`` gives a fresh one, and hands its link through ``tap``, so that the
suite can read along, break the link off, and garble the answers. The link of each is closed before
the next one is asked for::

    from hwloop_drivers.testing import SeenPulse, SourceRig, check_source_meter

    def make(tap):
        box = ...  # an instrument of one's own, reset, with 100 kΩ from its output to ground
        return SourceRig(
            instrument=MySmu(tap(box.link), MySettings()),
            again=lambda: MySmu(box.link, MySettings()),
            pulses=lambda: [SeenPulse(level_v, width_s), ...],  # what the resistor has seen so far
            output_v=lambda: ...,  # what the output drives now, None if it is off
            load_ohm=1e5,
        )

    def test_my_driver_keeps_to_the_rules():
        check_source_meter(make)
"""

from hwloop_drivers.testing.in_process import InProcessLink
from hwloop_drivers.testing.pulse_generator import PulseGeneratorTrial, check_pulse_generator
from hwloop_drivers.testing.rigs import MatrixRig, SeenPulse, SourceRig
from hwloop_drivers.testing.source_meter import SourceMeterTrial, check_source_meter
from hwloop_drivers.testing.switch_matrix import check_switch_matrix
from hwloop_drivers.testing.tap import Tap

__all__ = [
    "InProcessLink",
    "MatrixRig",
    "PulseGeneratorTrial",
    "SeenPulse",
    "SourceMeterTrial",
    "SourceRig",
    "Tap",
    "check_pulse_generator",
    "check_source_meter",
    "check_switch_matrix",
]
