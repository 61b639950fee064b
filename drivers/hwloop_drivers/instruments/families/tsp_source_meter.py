"""Source-measure units that speak TSP: their trains are scripts inside them.

The Lua file of an instrument defines functions that run what ``hwloop.add`` of
``families/tsp_trains.lua`` has collected; they print readings with their statuses, or ``none``, and
whether the source was at its limit, or else ``errors`` or ``stopped``. Scripts time their levels by
the instrument's own clock, and stop at one that lasted otherwise than asked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from importlib import resources

from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import (
    NumberForm,
    agreed,
    number,
    parse_pairs,
    parse_reading,
)
from hwloop_drivers.instruments.families.source_meter import LevelledSource
from hwloop_drivers.instruments.families.tsp import TspSpeaker
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import Measured, Train, TrainPoint, VerifyLoop
from hwloop_drivers.roles.readings import NO_FLAG

COMMON_SCRIPT = "families/tsp_trains.lua"
BEYOND_A = 1e30  # an infinite bound as the scripts know it: beyond every current
LINE_POINTS = 25  # so that no message is longer than about a thousand characters


class TspSourceMeter(TspSpeaker, LevelledSource):
    """An instrument or channel under the names that its subclass gives."""

    _level_path: str
    _limit_path: str
    _limited: str
    """An expression that is true at compliance."""
    _read_call: str
    _compliance_bit: int
    """Of the status of a reading in a buffer."""
    _aperture_s = 0.0
    _settle_s = 0.0
    """From the change of a level to the beginning of a reading."""
    _timeout_s: float

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        super().__init__(link, settings)
        self._form = NumberForm()

    @override
    def _send_level(self, level: str) -> None:
        self._set_finished(f"{self._level_path} = {level}")
        if not self.link.protects_bytes:
            self._confirm_level(level, self._ask(self._level_path))

    @property
    @override
    def compliance_current(self) -> float:
        return self._ask(self._limit_path)

    @property
    @override
    def tripped(self) -> bool:
        return self._holds(self._limited)

    @override
    def measure_current(self) -> Measured:
        self._make_precise()
        question = f"print({self._read_call}, {self._limited})"
        if self.link.protects_bytes:
            reply = self.link.query(question).strip()
        else:
            twice = f"local i, limited = {self._read_call}, {self._limited}"
            reply = self.link.query(f"{twice} print(i, limited, i, limited)").strip()
            reply = agreed(self.link, question, reply, "\t")
        value, _, limited = reply.partition("\t")
        if limited not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        current_a = parse_reading(self.link, question, value, self._form)
        return self._measured(current_a, self._compliance_bit * (limited == "true"))

    @abstractmethod
    def _measured(self, current_a: float, status: int) -> Measured:
        """Return a reading by its status as the buffers of this instrument have it."""

    def _holds(self, expression: str) -> bool:
        reply = self._printed(expression)
        if reply not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: print({expression}) answered {reply!r}")
        return reply == "true"

    def _load_script(self, name: str, version: int) -> None:
        """Send the Lua files, and check that the instrument has taken them."""
        package = resources.files("hwloop_drivers.instruments")
        self.link.write("loadandrunscript")
        for part in (COMMON_SCRIPT, name):
            for line in package.joinpath(part).read_text("utf-8").splitlines():
                if line.strip() and not line.startswith("--"):
                    self.link.write(line)
        self.link.write("endscript")
        if self._ask("hwloop.version") != version:
            raise InstrumentFault(f"{self.link.address}: the script {name} was not taken")

    def _send_points(self, points: Sequence[TrainPoint]) -> str:
        """Send all but the last levels; return the command that is left, for the question."""
        chunks = [points[n : n + LINE_POINTS] for n in range(0, len(points), LINE_POINTS)]
        commands = ["hwloop.clear()"]
        for chunk in chunks:
            levels = ", ".join(number(point.level_v) for point in chunk)
            waits = ", ".join(number(self._wait(point)) for point in chunk)
            reads = ", ".join(str(int(point.measure)) for point in chunk)
            commands.append(f"hwloop.add({{{levels}}}, {{{waits}}}, {{{reads}}})")
        commands[:2] = [" ".join(commands[:2])]
        for command in commands[:-1]:
            self.link.write(command)
        return commands[-1]

    def _wait(self, point: TrainPoint) -> float:
        """Return the time that the script waits at a level, seconds; its reading takes the rest."""
        reading_s = self._settle_s + self._aperture_s
        wait_s = point.width_s - (reading_s if point.measure else 0.0)
        if wait_s < 0:
            raise Unsupported(
                f"{self._name}: a level of {point.width_s:g} s is shorter than its reading,"
                f" {self._aperture_s:g} s, and the {self._settle_s:g} s until it has settled"
            )
        return wait_s

    def _loop_arguments(self, loop: VerifyLoop) -> str:
        """Return a loop's numbers as ``hwloop.verify`` takes them; refuse levels out of range."""
        last_v = loop.start_v + (loop.max_pulses - 1) * loop.step_v
        self._refuse_levels(loop.start_v, last_v, loop.read_v)
        wait_s = 0.0
        if loop.read_s is not None:
            wait_s = self._wait(TrainPoint(loop.read_v, loop.read_s, measure=True))
        low_a, high_a = (min(max(a, -BEYOND_A), BEYOND_A) for a in (loop.low_a, loop.high_a))
        read = (loop.read_v, wait_s, low_a, high_a)
        values = (loop.start_v, loop.step_v, loop.width_s, *read)
        counts = (loop.max_pulses, _sides(loop))
        return ", ".join([*(number(value) for value in values), *map(str, counts)])

    def _run_loop(self, command: str, loop: VerifyLoop) -> list[Measured]:
        """Run a verify loop that measures here; return one reading for each pulse."""
        sides = _sides(loop)
        read_s = self._settle_s + self._aperture_s if loop.read_s is None else loop.read_s
        most_s = loop.max_pulses * (loop.width_s + sides * read_s)
        readings = list(self._run(command, most_s, None).readings)
        if len(readings) % sides:
            raise UnexpectedReply(
                f"{self.link.address}: {command} answered {len(readings)} readings at two"
                " polarities"
            )
        if sides == 1:
            return readings
        return [_half_difference(*pair) for pair in zip(readings[::2], readings[1::2], strict=True)]

    def _run(self, command: str, duration_s: float, count: int | None) -> Train:
        """Run a function of the script; return its readings, ``count`` unless it is None."""
        self._make_precise()
        reply = self.link.query(command, timeout_s=2 * duration_s + self._timeout_s).strip()
        self._level_v = 0.0
        text, _, rest = reply.partition("\t")
        if text in {"stopped", "errors"}:
            self._raise_errors()
            raise InstrumentFault(f"{self.link.address}: {command} stopped: {rest}")
        if rest not in {"limited", "free"}:
            raise UnexpectedReply(f"{self.link.address}: {command} answered {reply!r}")
        flags = Flag.COMPLIANCE if rest == "limited" else NO_FLAG
        fields = [] if text == "none" else text.split(",")
        if len(fields) % 2 or (count is not None and len(fields) != 2 * count):
            raise UnexpectedReply(
                f"{self.link.address}: {command} answered {len(fields)} values for"
                f" {'its' if count is None else count} readings with their status"
            )
        count = len(fields) // 2
        pairs = parse_pairs(self.link, command, text, count, self._form) if fields else []
        readings = [self._measured(*pair) for pair in pairs]
        return Train(tuple(readings), flags | Train.of(readings).flags)


def _sides(loop: VerifyLoop) -> int:
    return 2 if loop.both_polarities else 1


def _half_difference(up: Measured, down: Measured) -> Measured:
    """Return (I(+v) − I(−v)) / 2; NaN where either is, with the flags of both."""
    return Measured((up.current_a - down.current_a) / 2, up.flags | down.flags)
