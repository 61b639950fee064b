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

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import ConfigError, InstrumentFault
from hwloop_drivers.links.link import Link

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

NO_FLAG = Flag(0)
READ_BACK_UNITS = {
    "aperture_s": "s",
    "compliance_current_a": "A",
    "limit_high_v": "V",
    "limit_low_v": "V",
    "load_ohm": "ohm",
    "source_range_v": "V",
}
"""The unit of each setting that drivers read back; a setting not listed is shown without a unit."""
HELD_S = 1.0  # shortest time for which a level around a pulse is held


@dataclass(frozen=True)
class TrainPoint:
    """One level of a train: ``level_v`` for ``width_s``, measured at its end or not.

    The level lasts ``width_s`` altogether, the measurement included.
    """

    level_v: float
    width_s: float
    measure: bool = False


@dataclass(frozen=True)
class Measured:
    """One reading: ``current_a`` out of the HI terminal; NaN where ``flags`` say why."""

    current_a: float
    flags: Flag = NO_FLAG


@dataclass(frozen=True)
class Train:
    """Result of a train: ``readings``, one for each point that measures, and ``flags`` of it all.

    ``flags``: COMPLIANCE where the source was at a limit, its own or that of a range, at any time
    while a level other than 0 V stood, as the instrument latched or reported it.
    """

    readings: tuple[Measured, ...] = ()
    flags: Flag = NO_FLAG

    @classmethod
    def of(cls, readings: Sequence[Measured], *, seen: Sequence[Measured] = ()) -> Train:
        """Return the result of ``readings``, limited where one of them or of ``seen`` was.

        ``seen``: readings of other levels, which only tell whether the source was at a limit.
        """
        flags = NO_FLAG
        for reading in (*readings, *seen):
            flags |= reading.flags & Flag.COMPLIANCE
        return cls(tuple(readings), flags)


@dataclass(frozen=True)
class SourceSetup:
    """Setup of a source for a run, before its output is turned on.

    ``range_v``: the largest magnitude it will have to source; the range is chosen once and locked,
    since range changes glitch. ``compliance_a``: limit of the current. ``nplc``: integration time
    of a reading in power line cycles. ``measure_range_a``: None for automatic.
    """

    range_v: float
    compliance_a: float
    nplc: float = 1.0
    measure_range_a: float | None = None


@dataclass(frozen=True)
class Companion:
    """Another output of the same instrument in a verify loop.

    It is held at ``start_v`` + n · ``step_v`` from before pulse n begins until it has ended, and
    at ``read_v`` during each read.
    """

    source: SourceMeter
    start_v: float
    step_v: float
    read_v: float = 0.0


@dataclass(frozen=True)
class VerifyLoop:
    """Pulse and verify until the read current is inside a window: run by the instrument itself.

    Pulse n has the amplitude ``start_v`` + n · ``step_v`` and ``width_s``; after each, ``read_v``
    is sourced for ``read_s`` (None: as long as the reading takes) and the current measured. Ends
    when ``low_a`` ≤ current ≤ ``high_a``, either of which may be infinite, or after
    ``max_pulses``; any reading at compliance or over range ends it as well. Then the level is 0 V.
    ``companions``: outputs that follow it. ``meter``: the output that measures; None: the source.
    With ``both_polarities`` the current is (I(+read_v) − I(−read_v)) / 2.
    """

    start_v: float
    step_v: float
    width_s: float
    read_v: float
    read_s: float | None
    low_a: float
    high_a: float
    max_pulses: int
    companions: tuple[Companion, ...] = ()
    meter: SourceMeter | None = None
    both_polarities: bool = False


class Instrument(ABC):
    """One instrument on one link."""

    link: Link

    @property
    @abstractmethod
    def id(self) -> str:
        """Get the answer to the question for its identity.

        Example: ``"KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30"``.
        """

    @abstractmethod
    def verify_identity(self) -> None:
        """Raise :class:`hwloop.errors.UnexpectedReply` unless this driver is for this model.

        Example: a driver for a 2400 whose link leads to a 2450 raises "expected a MODEL 2400,
        found 'KEITHLEY INSTRUMENTS,MODEL 2450,…'".
        """

    def allow(self, model: str) -> None:
        """Accept a model that is near the driver's own as well, where the station says so.

        Raises :class:`hwloop.errors.ConfigError` where it is not near. Example: a driver for a
        2636B accepts a 2636A after ``smu.allow("2636A")``.
        """
        raise ConfigError(f"{model!r} cannot be accepted: the driver knows no models")

    @property
    def stand_in(self) -> str:
        """Get the allowed model that was found in the place of the driver's own; "" for its own.

        Example: "2636A" after ``smu.allow("2636A")`` where a 2636A is connected.
        """
        return ""

    @abstractmethod
    def reset(self) -> None:
        """Set known settings, switch outputs off, clear status and error queue.

        Example: ``smu.source_enabled = True; smu.reset(); smu.source_enabled`` gives False.
        """

    @abstractmethod
    def clear(self) -> None:
        """Empty the error queue and clear the status; settings and outputs stay as they are.

        Example: ``smu.clear(); smu.check_errors()`` raises nothing.
        """

    @abstractmethod
    def check_errors(self) -> None:
        """Raise :class:`hwloop.errors.InstrumentFault` with every entry of the error queue.

        Example: after a command that a 2400 does not know it raises "-113,"Undefined header"".
        """

    @abstractmethod
    def safe_state(self) -> None:
        """Put every output at 0 V and switch it off, from any state; idempotent.

        Valid after any error. A matrix has no output: it opens its channels (see
        :class:`SwitchMatrix`). Example: ``smu.safe_state(); smu.source_enabled`` gives False.
        """

    def rest_at_zero(self) -> bool:
        """Bring every output to 0 V, read back, and leave it on; return whether that was done.

        For instruments that let go of their lines when they are off: so a line is held until it is
        grounded. Example: False, and nothing sent, for a source that holds 0 V when it is off.
        """
        return False

    @abstractmethod
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """Return the outputs by channel name.

        Example: ``{"": self}`` for an instrument with one, ``{"a": …, "b": …}`` for one with two,
        ``{}`` for a matrix.
        """

    def read_back(self) -> dict[str, object]:
        """Return settings as the instrument has them now, by name, for the record.

        A setting that has a unit has a name of :data:`READ_BACK_UNITS`, after the channel's name
        and a dot where there are several channels.
        """
        return {}

    def shutdown(self) -> None:
        """Go to the safe state, then close the link, even after an error."""
        try:
            self.safe_state()
        finally:
            self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


class SourceMeter(ABC):
    """One voltage source that measures its own current: an SMU channel."""

    @abstractmethod
    def set_up(self, setup: SourceSetup) -> None:
        """Set a voltage source at 0 V with these settings, all read back.

        The output stays on or off as it was. Raises :class:`hwloop.errors.Unsupported` for what
        the instrument cannot do. Example::

            smu.set_up(SourceSetup(range_v=2.0, compliance_a=1e-3))
        """

    @property
    @abstractmethod
    def source_voltage(self) -> float:
        """Control the level of the source, volts, within the range that was set up.

        A new level is reached at once. Example: ``smu.source_voltage = 0.1``.
        """

    @source_voltage.setter
    @abstractmethod
    def source_voltage(self, level_v: float) -> None: ...

    @property
    @abstractmethod
    def compliance_current(self) -> float:
        """Get the limit of the current, amperes, as the instrument has it.

        Example: 1e-3 after ``smu.set_up(SourceSetup(range_v=2.0, compliance_a=1e-3))``.
        """

    @property
    @abstractmethod
    def source_enabled(self) -> bool:
        """Control whether the output is on.

        Example: ``output.source_enabled = True``.
        """

    @source_enabled.setter
    @abstractmethod
    def source_enabled(self, on: bool) -> None: ...

    @abstractmethod
    def measure_current(self) -> Measured:
        """Measure the current now, with the integration time that was set up.

        Example: 0.1 V on 100 kΩ gives ``Measured(current_a=1e-6, flags=Flag(0))``.
        """

    @property
    def current(self) -> float:
        """Measure the current now, amperes; NaN at compliance or beyond the range."""
        return self.measure_current().current_a

    @property
    @abstractmethod
    def tripped(self) -> bool:
        """Get whether the source is at its compliance now.

        Example: True at 1 V on 100 Ω with a compliance of 1 mA.
        """

    def refuse_level(self, level_v: float) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if the level cannot be held; no traffic."""
        self.refuse_train([TrainPoint(level_v, HELD_S)])

    @abstractmethod
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if it cannot time these levels by itself.

        Depends on nothing but the points and the model: no traffic, usable before connecting.
        Example: a 2400 makes no pulse of 10 µs; ``refuse_train([TrainPoint(1.0, 10e-6)])`` raises.
        """

    @abstractmethod
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        """Run the levels one after the other inside the instrument, then go to 0 V.

        Returns one reading for each point that measures, and whether the source was at a limit
        during the train. One round trip for as many points as the instrument's memory holds. The
        output must be on. Raises :class:`hwloop.errors.InstrumentFault` if the instrument reports
        an error. Example, a pulse and a read::

            pulse, read = TrainPoint(1.5, 1e-3), TrainPoint(0.1, 20e-3, measure=True)
            (measured,) = smu.apply_train([pulse, read]).readings
        """

    def refuse_loop(self, loop: VerifyLoop) -> None:  # noqa: ARG002 - for those that can
        """Raise :class:`hwloop.errors.Unsupported` if it cannot run this loop; no traffic.

        An instrument whose language has no loops refuses all.
        """
        from hwloop.errors import Unsupported

        raise Unsupported(f"{type(self).__name__} cannot run a pulse-and-verify loop by itself")

    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        """Run a pulse-and-verify loop inside the instrument; return one reading for each pulse.

        Raises :class:`hwloop.errors.Unsupported` for what :meth:`refuse_loop` refuses.
        """
        self.refuse_loop(loop)
        raise AssertionError  # pragma: no cover - who refuses less runs it

    def ramp_to_voltage(self, level_v: float, *, steps: int = 10) -> None:
        """Change the level to ``level_v`` in equal steps."""
        start_v = self.source_voltage
        for n in range(1, steps):
            self.source_voltage = start_v + (level_v - start_v) * n / steps
        self.source_voltage = level_v


class PulseGenerator(ABC):
    """One output that makes rectangular pulses and levels, without a meter."""

    output_ohm: float = 50.0
    """Source resistance of the output."""

    @abstractmethod
    def set_up(self, *, range_v: float) -> None:
        """Set a high-impedance load, voltage limits of ±range_v and 0 V, all read back.

        The output stays on or off as it was. Example: ``generator.set_up(range_v=3.0)``.
        """

    @property
    @abstractmethod
    def source_voltage(self) -> float:
        """Control the constant level between pulses, volts, into a high impedance.

        Example: ``generator.source_voltage = 0.1``.
        """

    @source_voltage.setter
    @abstractmethod
    def source_voltage(self, level_v: float) -> None: ...

    @property
    @abstractmethod
    def source_enabled(self) -> bool:
        """Control whether the output is on.

        Example: ``output.source_enabled = True``.
        """

    @source_enabled.setter
    @abstractmethod
    def source_enabled(self, on: bool) -> None: ...

    @abstractmethod
    def refuse_pulses(self, *, level_v: float, width_s: float, count: int) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if it cannot make these pulses; no traffic.

        Example: ``refuse_pulses(level_v=1.5, width_s=1e-6, count=10)`` returns where it can.
        """

    @abstractmethod
    def apply_pulses(self, *, level_v: float, width_s: float, count: int = 1) -> None:
        """Make ``count`` pulses of ``level_v`` from 0 V, and return when the last has ended.

        Example: ``generator.apply_pulses(level_v=1.5, width_s=1e-6, count=10)``.
        """


class SwitchMatrix(Instrument):
    """Crosspoints that connect outputs and ground to lines.

    A channel is named as the instrument names it: ``1!1!1``, ``1A01``, ``10101``, ``r1c2``.
    Closing and opening verify: the closed channels are read back and compared, a difference is an
    :class:`hwloop.errors.InstrumentFault` that names the channels. Its safe state has every channel
    open; a caller who knows the wiring grounds the lines first.
    """

    @property
    @abstractmethod
    def closed(self) -> frozenset[str]:
        """Get the channels that the instrument reports as closed now.

        Example: ``frozenset({"1A01", "1C02"})``.
        """

    @abstractmethod
    def refuse_channel(self, channel: str) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if this is no channel's name; no traffic.

        Example: a 707B raises for ``"1!1!1"``, whose channels are named as ``"1A01"``.
        """

    @abstractmethod
    def close_channels(self, channels: Sequence[str]) -> None:
        """Close channels beside those that are closed; verified; return when they have settled.

        Example: ``matrix.close_channels(["1A01"])`` adds it to ``matrix.closed``.
        """

    @abstractmethod
    def open_channels(self, channels: Sequence[str]) -> None:
        """Open channels; verified; return when they have settled.

        Example: ``matrix.open_channels(["1A01"])`` takes it out of ``matrix.closed``.
        """

    @abstractmethod
    def open_all(self) -> None:
        """Open every channel; verified; return when they have settled.

        Example: ``matrix.open_all(); matrix.closed`` gives ``frozenset()``.
        """

    def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
        """Close channels, then open others, so that no line floats in between; at 0 V only."""
        if close:
            self.close_channels(close)
        if open_:
            self.open_channels(open_)

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {}

    @override
    def safe_state(self) -> None:
        self.open_all()


def refuse_changed(
    instrument: str, before: Mapping[str, object], now: Mapping[str, object]
) -> None:
    """Raise :class:`hwloop.errors.InstrumentFault` where a range or limit is not as it was.

    ``before``, ``now``: what :meth:`Instrument.read_back` gave when the run began, and gives now.
    """
    for name in units_of_read_back(instrument, before):
        setting = name.removeprefix(f"{instrument}.")
        old, new = before[setting], now.get(setting)
        same = old == new
        if isinstance(old, float) and isinstance(new, float):
            same = math.isclose(old, new, rel_tol=1e-6)
        if not same:
            raise InstrumentFault(
                f"{instrument}: {setting} was {old} when the run began and is {new} now; something"
                " else has changed it (front panel, another program?), and the reads and pulses"
                " since the last look at the lines are not believed"
            )


def units_of_read_back(instrument: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Return the units of what :meth:`Instrument.read_back` gave, by path below the identity."""
    return {
        f"{instrument}.{name}": READ_BACK_UNITS[setting]
        for name in settings
        if (setting := name.rpartition(".")[2]) in READ_BACK_UNITS
    }
