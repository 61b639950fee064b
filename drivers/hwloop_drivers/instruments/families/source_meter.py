"""Base of source-measure units as voltage sources: levels, limits, readings."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import (
    OVERFLOW,
    NumberForm,
    agreed,
    number,
    parse_number,
    parse_pairs,
    refuse_above,
)
from hwloop_drivers.instruments.families.scpi import ScpiSpeaker
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import Measured, SourceMeter, SourceSetup

LOW_LIMIT_A = 1e-6  # while the range changes: any range allows it
ROUNDING = 1e-9  # relative
LEVEL_STEP = 1e-4  # of a range: levels that differ less read back alike


@dataclass(frozen=True)
class SourceLimits:
    """Ranges and limits of a source.

    ``ranges_v``, ``ranges_a``: nominal ranges of source and meter, ascending. ``over``: the largest
    level of a range of ``ranges_v``, as a multiple of its nominal value. ``envelope``: (volts,
    amperes), ascending: the largest current up to each voltage. ``least_a``: the smallest limit of
    the current.
    """

    ranges_v: tuple[float, ...]
    ranges_a: tuple[float, ...]
    over: float
    envelope: tuple[tuple[float, float], ...]
    least_a: float

    @property
    def most_v(self) -> float:
        """Get the largest level of any range, volts."""
        return self.ranges_v[-1] * self.over

    def range_for(self, name: str, setup: SourceSetup) -> float:
        """Return the range to lock, volts; raises :class:`Unsupported` where none suffices."""
        refuse_above(f"{name}: range", setup.range_v, self.most_v, "V")
        range_v = next(r for r in self.ranges_v if abs(setup.range_v) <= r * self.over)
        most_a = next(a for v, a in self.envelope if range_v <= v)
        what = f"{name}: compliance in the {range_v:g} V range"
        refuse_above(what, setup.compliance_a, most_a, "A")
        if setup.compliance_a < self.least_a:
            raise Unsupported(
                f"{name}: compliance {setup.compliance_a:g} A is below the instrument's"
                f" {self.least_a:g} A"
            )
        return range_v

    def carrying_range(self, limit_a: float) -> float:
        """Return the smallest measurement range that shows a current as large as the limit."""
        return next(r for r in self.ranges_a if limit_a <= r * self.over * (1 + ROUNDING))

    def measure_range_for(self, name: str, setup: SourceSetup) -> float | None:
        """Return the measurement range to lock, amperes; None for automatic."""
        if setup.measure_range_a is None:
            return None
        wanted_a = setup.measure_range_a
        refuse_above(f"{name}: measurement range", wanted_a, self.ranges_a[-1], "A")
        return next(r for r in self.ranges_a if abs(wanted_a) <= r)

    def range_of_limit(self, limit_a: float) -> float:
        """Return the smallest range that holds a limit of the current, amperes."""
        return next(r for r in self.ranges_a if limit_a <= r * self.over)


def measured(current_a: float, status: int, *, compliance: int, over_range: int = 0) -> Measured:
    """Return a reading, NaN where its status has a bit of compliance or of over-range."""
    flags = Flag(0)
    if not abs(current_a) < OVERFLOW or status & over_range:
        flags |= Flag.OVER_RANGE
    if status & compliance:
        flags |= Flag.COMPLIANCE
    return Measured(math.nan if flags else current_a, flags)


class LevelledSource(SourceMeter):
    """A source that knows the range that was set up for it, and its level within it."""

    link: Link
    _name: str
    """The instrument or channel, in refusals."""
    _range_v = 0.0
    _level_v = 0.0

    def _confirm_level(self, level: str, read: float) -> None:
        """Raise :class:`InstrumentFault` where another level than was sent reads back, volts."""
        if not abs(read - float(level)) <= LEVEL_STEP * self._range_v:
            raise InstrumentFault(
                f"{self.link.address}: the level was set to {level} V but reads back"
                f" {number(read)} V"
            )

    @property
    @override
    def source_voltage(self) -> float:
        return self._level_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self._refuse_levels(level_v)
        self._send_level(number(level_v))
        self._level_v = level_v

    @abstractmethod
    def _send_level(self, level: str) -> None:
        """Send the level, volts, and return when it is set."""

    def _refuse_levels(self, *levels_v: float) -> None:
        for level_v in levels_v:
            refuse_above(f"{self._name}: level", level_v, self._range_v, "V")


class ScpiSourceMeter(ScpiSpeaker, LevelledSource):
    """A channel that is spoken to in SCPI, under the headers that its subclass gives."""

    _level_header: str
    _limit_question: str
    _trip_question: str
    _output_header: str
    _read_question: str
    """Answered by one current and its status."""
    _again_question: ClassVar[str] = ""
    """Answered by the readings of the question before it; "" where there is no such question."""

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        super().__init__(link, settings)
        self._form = NumberForm()

    @override
    def _send_level(self, level: str) -> None:
        if self.link.protects_bytes:
            self._set_finished(f"{self._level_header} {level}")
            return
        question = f"{self._level_header} {level};*OPC?;{self._level_header}?"
        finished, _, read = self.link.query(question).strip().partition(";")
        if finished != "1":
            raise UnexpectedReply(f"{self.link.address}: {question} answered {finished!r}")
        self._confirm_level(level, parse_number(self.link, question, read))
        if self._errors == "each":
            self._raise_errors()

    @property
    @override
    def compliance_current(self) -> float:
        return self._ask(self._limit_question)

    @property
    @override
    def source_enabled(self) -> bool:
        return self._ask(f"{self._output_header}?") != 0

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f"{self._output_header} {'ON' if on else 'OFF'}")

    @property
    @override
    def tripped(self) -> bool:
        return self._ask(self._trip_question) != 0

    @override
    def measure_current(self) -> Measured:
        question = self._read_question
        return self._readings(question, self._ask_readings(question), 1)[0]

    def _ask_readings(self, question: str, *, timeout_s: float | None = None) -> str:
        """Return the answer to a question that measures; where bytes may change, asked for twice.

        The second time the instrument measures nothing: it sends what it has measured.
        """
        again = "" if self.link.protects_bytes else self._again_question
        if not again:
            return self.link.query(question, timeout_s=timeout_s)
        reply = self.link.query(f"{question};{again}", timeout_s=timeout_s)
        return agreed(self.link, question, reply.strip(), ";")

    def _readings(self, question: str, reply: str, count: int) -> list[Measured]:
        pairs = parse_pairs(self.link, question, reply, count, self._form)
        return [self._measured(*pair) for pair in pairs]

    @abstractmethod
    def _measured(self, current_a: float, status: int) -> Measured:
        """Return a reading by its status as this instrument encodes it."""
