"""Levels that a source makes and measures, what it read, and its setup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwloop.array.operations import Flag

NO_FLAG = Flag(0)


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
