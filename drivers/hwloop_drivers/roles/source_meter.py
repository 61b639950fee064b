"""A voltage source that measures its own current, and the loops that it can run by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from hwloop_drivers.roles.readings import Measured, SourceSetup, Train, TrainPoint

HELD_S = 1.0  # shortest time for which a level around a pulse is held


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
