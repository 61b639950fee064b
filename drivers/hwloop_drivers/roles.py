"""What instruments are for: sources that measure, generators of pulses, matrices of switches.

The names are those that users of PyMeasure and QCoDeS expect; every value is in SI units. A
driver implements one role for each of its outputs (see :meth:`Instrument.outputs`).

Rules for every driver, checked by :mod:`hwloop_drivers.testing`:

- Numbers are sent with nine significant digits; what protects the array (compliance, range,
  limits, output load, off mode) is read back and compared, and a difference is an
  :class:`hwloop.errors.InstrumentFault` that names setting, sent and read value.
- What the instrument cannot do exactly is refused with :class:`hwloop.errors.Unsupported` before
  anything is sent: nothing is clipped.
- A reply that is not what was asked for is an :class:`hwloop.errors.UnexpectedReply`; a reading
  at compliance or beyond the range is NaN with a :class:`hwloop.array.operations.Flag`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hwloop.array.operations import Flag
from hwloop_drivers.links.link import Link

NO_FLAG = Flag(0)
READ_BACK_UNITS = {
    "aperture_s": "s",
    "compliance_current_a": "A",
    "limit_high_v": "V",
    "limit_low_v": "V",
    "load_ohm": "ohm",
    "source_range_v": "V",
}
"""The unit of each setting that drivers read back; a setting that is not here is shown without."""
STANDING_S = 1.0  # a level that others wait for lasts at least this long, at worst


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
class SourceSetup:
    """How a source is set up for a run, before its output is turned on.

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
    """Another output of the same box in a verify loop.

    It stands at ``start_v`` + n · ``step_v`` before pulse n begins and until it has ended, and at
    ``read_v`` during each read.
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
    ``companions``: outputs that go with it. ``meter``: which output measures; None: the source.
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
    """One box on one link."""

    link: Link

    @property
    @abstractmethod
    def id(self) -> str:
        """What it answers to the question for its identity."""

    @abstractmethod
    def verify_identity(self) -> None:
        """Raise :class:`hwloop.errors.UnexpectedReply` unless this driver is for this model."""

    @abstractmethod
    def reset(self) -> None:
        """Known settings, outputs off; clears status and error queue."""

    @abstractmethod
    def clear(self) -> None:
        """Empty its error queue and status."""

    @abstractmethod
    def check_errors(self) -> None:
        """Raise :class:`hwloop.errors.InstrumentFault` with every entry of its error queue."""

    @abstractmethod
    def safe_state(self) -> None:
        """Every output at 0 V and off, from whatever state: valid after any error, idempotent.

        A matrix has no output: it opens what is not to ground (see :class:`SwitchMatrix`).
        """

    @abstractmethod
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """Its outputs by channel name: ``{"": self}`` for a box with one, ``{}`` for a matrix."""

    def read_back(self) -> dict[str, object]:
        """Return settings as the instrument has them now, for the record.

        What is in a unit has a name of :data:`READ_BACK_UNITS`, after a channel's name and a dot
        where there are several channels.
        """
        return {}

    def shutdown(self) -> None:
        """Go to the safe state, then close the link, whatever happens."""
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
        """Voltage source at 0 V with these settings, all read back; the output stays as it was.

        Raises :class:`hwloop.errors.Unsupported` for what the box cannot do.
        """

    @property
    @abstractmethod
    def source_voltage(self) -> float:
        """Level of the source, volts; set at once, within the range that was set up."""

    @source_voltage.setter
    @abstractmethod
    def source_voltage(self, level_v: float) -> None: ...

    @property
    @abstractmethod
    def compliance_current(self) -> float:
        """Limit of the current, amperes, as the instrument has it."""

    @property
    @abstractmethod
    def source_enabled(self) -> bool:
        """Whether the output is on; to be set."""

    @source_enabled.setter
    @abstractmethod
    def source_enabled(self, on: bool) -> None: ...

    @abstractmethod
    def measure_current(self) -> Measured:
        """The current now, with the integration time that was set up."""

    @property
    def current(self) -> float:
        """The current now, amperes; NaN at compliance or beyond the range."""
        return self.measure_current().current_a

    @property
    @abstractmethod
    def tripped(self) -> bool:
        """Whether the source is at its compliance now."""

    def refuse_level(self, level_v: float) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if the box cannot hold a level; no traffic."""
        self.refuse_train([TrainPoint(level_v, STANDING_S)])

    @abstractmethod
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if the box cannot time these levels itself.

        Depends on nothing but the points and the model: no traffic, usable before connecting.
        """

    @abstractmethod
    def apply_train(self, points: Sequence[TrainPoint]) -> list[Measured]:
        """Run the levels one after the other inside the instrument, then 0 V; the readings.

        One round trip for as many points as the instrument's memory holds. The output must be on.
        Returns one :class:`Measured` for each point that measures. Raises
        :class:`hwloop.errors.InstrumentFault` if the instrument reports an error.
        """

    def refuse_loop(self, loop: VerifyLoop) -> None:  # noqa: ARG002 - for those that can
        """Raise :class:`hwloop.errors.Unsupported` if the box cannot run this loop; no traffic.

        Every box whose language has no loop refuses all.
        """
        from hwloop.errors import Unsupported

        raise Unsupported(f"{type(self).__name__} cannot run a pulse-and-verify loop by itself")

    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        """Run a pulse-and-verify loop inside the instrument; the readings, one a pulse.

        Raises :class:`hwloop.errors.Unsupported` for what :meth:`refuse_loop` refuses.
        """
        self.refuse_loop(loop)
        raise AssertionError  # pragma: no cover - who refuses less runs it

    def ramp_to_voltage(self, level_v: float, *, steps: int = 10) -> None:
        """Go to ``level_v`` in equal steps."""
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
        """High-impedance load, voltage limits ±range_v, 0 V; all read back; output as it was."""

    @property
    @abstractmethod
    def source_voltage(self) -> float:
        """The constant level between pulses, volts, into a high impedance; to be set."""

    @source_voltage.setter
    @abstractmethod
    def source_voltage(self, level_v: float) -> None: ...

    @property
    @abstractmethod
    def source_enabled(self) -> bool:
        """Whether the output is on; to be set."""

    @source_enabled.setter
    @abstractmethod
    def source_enabled(self, on: bool) -> None: ...

    @abstractmethod
    def refuse_pulses(self, *, level_v: float, width_s: float, count: int) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if it cannot make them; no traffic."""

    @abstractmethod
    def apply_pulses(self, *, level_v: float, width_s: float, count: int = 1) -> None:
        """Make ``count`` pulses of ``level_v`` from 0 V, and return when the last has ended."""


class SwitchMatrix(Instrument):
    """Crosspoints that connect outputs and ground to lines.

    A channel is named as the instrument names it: ``1!1!1``, ``1A01``, ``10101``, ``r1c2``.
    Closing and opening verify: what is closed afterwards is asked for and compared, a difference
    is an :class:`hwloop.errors.InstrumentFault` that names the channels.
    """

    @property
    @abstractmethod
    def closed(self) -> frozenset[str]:
        """The channels that the instrument says are closed now."""

    @abstractmethod
    def refuse_channel(self, channel: str) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if this is no channel's name; no traffic."""

    @abstractmethod
    def close_channels(self, channels: Sequence[str]) -> None:
        """Close these as well; verified. Returns when they have settled."""

    @abstractmethod
    def open_channels(self, channels: Sequence[str]) -> None:
        """Open these; verified."""

    @abstractmethod
    def open_all(self) -> None:
        """Open every channel; verified."""

    def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
        """Close, then open: a line is never floating in between. At 0 V only."""
        if close:
            self.close_channels(close)
        if open_:
            self.open_channels(open_)

    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """None: a matrix only connects."""
        return {}

    def safe_state(self) -> None:
        """Open every channel. Whoever knows the wiring grounds the lines first."""
        self.open_all()


def units_of_read_back(instrument: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Return the units of what :meth:`Instrument.read_back` gave, by path below the identity."""
    return {
        f"{instrument}.{name}": READ_BACK_UNITS[setting]
        for name in settings
        if (setting := name.rpartition(".")[2]) in READ_BACK_UNITS
    }
