"""An output that makes pulses and levels, without a meter."""

from __future__ import annotations

from abc import ABC, abstractmethod


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
    def refuse_pulses(
        self, *, level_v: float, width_s: float, count: int, interval_s: float | None = None
    ) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if it cannot make these pulses; no traffic.

        ``interval_s``: from the end of a pulse to the begin of the next; None: as it chooses.
        Example: ``refuse_pulses(level_v=1.5, width_s=1e-6, count=10)`` returns where it can.
        """

    @abstractmethod
    def apply_pulses(
        self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
    ) -> None:
        """Make ``count`` pulses of ``level_v`` from 0 V, and return when the last has ended.

        ``interval_s``: as of :meth:`refuse_pulses`. Example::

            generator.apply_pulses(level_v=1.5, width_s=1e-6, count=10, interval_s=50e-6)
        """
