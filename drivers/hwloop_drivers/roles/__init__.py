"""Roles of instruments: sources that measure, generators of pulses, matrices of switches.

The names are those that users of PyMeasure and QCoDeS expect; every value is in SI units. A
driver implements one role for each of its outputs (see :meth:`Instrument.outputs`).

Rules for every driver, checked by :mod:`hwloop_drivers.testing`:

- Numbers are sent with nine significant digits; what protects the array (compliance, range,
  limits, output load, off mode) is read back and compared once all settings are made, since a later
  one may change an earlier; a difference is an :class:`hwloop.errors.InstrumentFault` that names
  setting, sent and read value.
- What the instrument cannot do is refused with :class:`hwloop.errors.Unsupported` before anything
  is sent: nothing is clipped. A level is rounded to the steps that the instrument has, and must
  read back within half a step. A width is made within the tolerance that the driver states, which
  covers what the instrument adds by itself, or refused.
- A reply that is not what was asked for is an :class:`hwloop.errors.UnexpectedReply`; a reading
  at compliance or beyond the range is NaN with a :class:`hwloop.array.operations.Flag`.
"""

from hwloop_drivers.roles.instrument import Instrument
from hwloop_drivers.roles.pulse_generator import PulseGenerator
from hwloop_drivers.roles.readings import Measured, SourceSetup, Train, TrainPoint
from hwloop_drivers.roles.source_meter import Companion, SourceMeter, VerifyLoop
from hwloop_drivers.roles.switch_matrix import SwitchMatrix

__all__ = [
    "Companion",
    "Instrument",
    "Measured",
    "PulseGenerator",
    "SourceMeter",
    "SourceSetup",
    "SwitchMatrix",
    "Train",
    "TrainPoint",
    "VerifyLoop",
]
