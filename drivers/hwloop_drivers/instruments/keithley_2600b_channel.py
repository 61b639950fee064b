"""One channel of a Keithley 2600B; its trains are scripts inside the instrument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop.operations import Flag
from hwloop_drivers.instruments.common import number, parse_number, refuse_above
from hwloop_drivers.instruments.keithley_2600b_models import MODELS, Keithley2600BSettings
from hwloop_drivers.instruments.tsp import TspSpeaker
from hwloop_drivers.link import Link
from hwloop_drivers.roles import Measured, SourceMeter, SourceSetup, TrainPoint, VerifyLoop

OVERFLOW = 9.9e37
STATUS_COMPLIANCE = 0x40  # of a reading in a buffer: reference manual, bufferVar.statuses
LEAST_DELAY_S = 1e-3  # a level set by a script line, which takes up to about 0.1 ms itself
LEAST_PULSE_S = 1e-4  # the trigger model's: data sheet, minimum pulse width
MOST_WIDTH_S = 1e5
MOST_POINTS = 10_000
LINE_POINTS = 25  # so that no message is longer than about a thousand characters
SCRIPT = "keithley_2600b.lua"
SCRIPT_VERSION = 1


@dataclass(frozen=True)
class _Pulses:
    """Equal pulses from 0 V."""

    level_v: float
    on_s: float
    off_s: float
    count: int


class Channel(TspSpeaker, SourceMeter):
    """One channel as voltage source and ammeter."""

    def __init__(self, link: Link, settings: Keithley2600BSettings, letter: str) -> None:
        super().__init__(link, settings)
        self._settings, self._smu = settings, f"smu{letter}"
        self._name = f"{settings.model} channel {letter}"
        self._model = MODELS[settings.model]
        self._range_v = self._model.ranges_v[0]
        self._level_v = self._compliance_a = self._aperture_s = 0.0

    def read_back(self) -> dict[str, object]:
        """Range, compliance and integration time as the instrument has them."""
        names = {
            "source_range_v": "source.rangev",
            "compliance_current_a": "source.limiti",
            "nplc": "measure.nplc",
        }
        return {name: self._ask(f"{self._smu}.{path}") for name, path in names.items()}

    def forget(self) -> None:
        """The box has been reset."""
        self._precise = False
        self._level_v = 0.0

    def turn_off(self) -> None:
        """0 V and off, whatever it sources; not read back."""
        smu = self._smu
        self.link.write(f"{smu}.source.levelv = 0 {smu}.source.leveli = 0")
        self.link.write(f"{smu}.source.output = {smu}.OUTPUT_OFF")
        self._level_v = 0.0

    def set_up(self, setup: SourceSetup) -> None:
        """Voltage source in a locked range, compliance read back, off mode ZERO."""
        range_v = self._range_for(setup)
        smu, settings = self._smu, self._settings
        nplc = setup.nplc if settings.nplc is None else settings.nplc
        self._load_script()
        self._set_word_confirmed(f"{smu}.source.func", f"{smu}.OUTPUT_DCVOLTS")
        self._set(f"{smu}.source.levelv = 0")
        # First the least limit: a wide range refuses a limit beyond its power.
        self._set_confirmed(f"{smu}.source.limiti", self._model.least_a)
        self._set_confirmed(f"{smu}.source.rangev", range_v)
        self._set_confirmed(f"{smu}.source.limiti", setup.compliance_a)
        self._set_word_confirmed(f"{smu}.source.offmode", f"{smu}.OUTPUT_ZERO")
        sense = "REMOTE" if settings.four_wire else "LOCAL"
        self._set_word_confirmed(f"{smu}.sense", f"{smu}.SENSE_{sense}")
        self._set_confirmed(f"{smu}.source.delay", 0)
        self._set_confirmed(f"{smu}.measure.delay", 0)
        self._set_confirmed(f"{smu}.measure.nplc", nplc)
        # Done once, it may read back as off.
        self._set(f"{smu}.measure.autozero = {smu}.AUTOZERO_ONCE")
        if setup.measure_range_a is None:
            self._set_word_confirmed(f"{smu}.measure.autorangei", f"{smu}.AUTORANGE_ON")
        else:
            self._set_confirmed(f"{smu}.measure.rangei", setup.measure_range_a)
        self._aperture_s = nplc / self._ask("localnode.linefreq")
        self._range_v, self._compliance_a = range_v, setup.compliance_a
        self._level_v = 0.0

    @property
    def source_voltage(self) -> float:
        """Level of the source."""
        return self._level_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self._refuse_levels(level_v)
        self._set_finished(f"{self._smu}.source.levelv = {number(level_v)}")
        self._level_v = level_v

    @property
    def compliance_current(self) -> float:
        """Limit of the current."""
        return self._ask(f"{self._smu}.source.limiti")

    @property
    def source_enabled(self) -> bool:
        """Whether the output is on."""
        return self._ask(f"{self._smu}.source.output") == 1

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        state = f"{self._smu}.OUTPUT_{'ON' if on else 'OFF'}"
        self._set_finished(f"{self._smu}.source.output = {state}")

    @property
    def tripped(self) -> bool:
        """Whether the source is at its compliance."""
        return self._boolean(f"{self._smu}.source.compliance")

    def measure_current(self) -> Measured:
        """One reading."""
        self._make_precise()
        question = f"print({self._smu}.measure.i(), {self._smu}.source.compliance)"
        reply = self.link.query(question)
        value, _, complies = reply.strip().partition("\t")
        if complies not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        current_a = parse_number(self.link, question, value)
        return _measured(current_a, STATUS_COMPLIANCE * (complies == "true"))

    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        """A script makes widths from 1 ms on; the factory script equal pulses from 0.1 ms on."""
        if not points:
            raise Unsupported("a train needs a point")
        if len(points) > MOST_POINTS:
            raise Unsupported(f"{self._name}: {len(points)} points; {MOST_POINTS} at most")
        for point in points:
            refuse_above(f"{self._name}: level", point.level_v, self._model.ranges_v[-1], "V")
        longest_s = max(point.width_s for point in points)
        shortest_s = min(point.width_s for point in points)
        least_s = LEAST_DELAY_S if _as_pulses(points) is None else LEAST_PULSE_S
        for width_s in (shortest_s, longest_s):
            if not least_s * (1 - 1e-9) <= width_s <= MOST_WIDTH_S:
                raise Unsupported(
                    f"{self._name}: a width of {width_s:g} s is outside {least_s:g} to"
                    f" {MOST_WIDTH_S:g} s, which its scripts can make"
                )

    def apply_train(self, points: Sequence[TrainPoint]) -> list[Measured]:
        """A script in the instrument: one round trip for the whole train."""
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        pulses = _as_pulses(points)
        total_s = math.fsum(point.width_s for point in points)
        if pulses is not None and pulses.on_s < LEAST_DELAY_S:
            on, off = number(pulses.on_s), number(pulses.off_s)
            command = (
                f"hwloop.pulses({self._smu}, {number(pulses.level_v)},"
                f" {number(self._compliance_a)}, {on}, {off}, {pulses.count})"
            )
            return self._run(command, total_s + pulses.off_s, 0)
        return self._run(self._send_points(points), total_s, sum(p.measure for p in points))

    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        """A loop in the instrument: one round trip for all its pulses."""
        last_v = loop.start_v + (loop.max_pulses - 1) * loop.step_v
        self._refuse_levels(loop.start_v, last_v, loop.read_v)
        self.refuse_train([TrainPoint(loop.start_v, loop.width_s)])
        if loop.width_s < LEAST_DELAY_S or loop.max_pulses > MOST_POINTS:
            raise Unsupported(
                f"{self._name}: a loop makes widths from {LEAST_DELAY_S:g} s and at most"
                f" {MOST_POINTS} pulses, not {loop.width_s:g} s and {loop.max_pulses}"
            )
        wait_s = self._wait(TrainPoint(loop.read_v, loop.read_s, measure=True))
        read = (loop.read_v, wait_s, loop.low_a, loop.high_a)
        values = (loop.start_v, loop.step_v, loop.width_s, *read)
        arguments = ", ".join(number(value) for value in values)
        command = f"hwloop.verify({self._smu}, {arguments}, {loop.max_pulses})"
        return self._run(command, loop.max_pulses * (loop.width_s + loop.read_s), None)

    def _range_for(self, setup: SourceSetup) -> float:
        """The range to lock; refuses what the model cannot do."""
        model = self._model
        refuse_above(f"{self._name}: range", setup.range_v, model.ranges_v[-1], "V")
        range_v = next(r for r in model.ranges_v if abs(setup.range_v) <= r)
        what = f"{self._name}: compliance in the {range_v:g} V range"
        refuse_above(what, setup.compliance_a, model.most_at(range_v), "A")
        if setup.compliance_a < model.least_a:
            raise Unsupported(
                f"{self._name}: compliance {setup.compliance_a:g} A is below the instrument's"
                f" {model.least_a:g} A"
            )
        if setup.measure_range_a is not None and setup.measure_range_a < model.least_range_a:
            raise Unsupported(
                f"{self._name}: a measurement range of {setup.measure_range_a:g} A is below its"
                f" smallest, {model.least_range_a:g} A"
            )
        return range_v

    def _refuse_levels(self, *levels_v: float) -> None:
        for level_v in levels_v:
            refuse_above(f"{self._name}: level", level_v, self._range_v, "V")

    def _load_script(self) -> None:
        source = resources.files("hwloop_drivers.instruments").joinpath(SCRIPT)
        self.link.write("loadandrunscript")
        for line in source.read_text("utf-8").splitlines():
            if line.strip() and not line.startswith("--"):
                self.link.write(line)
        self.link.write("endscript")
        if self._ask("hwloop.version") != SCRIPT_VERSION:
            raise InstrumentFault(f"{self.link.address}: the script {SCRIPT} was not taken")

    def _send_points(self, points: Sequence[TrainPoint]) -> str:
        """Send all but the last levels; what is left to send with the question."""
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
        return f"{commands[-1]} hwloop.train({self._smu})"

    def _wait(self, point: TrainPoint) -> float:
        """How long the script waits at a level: its reading takes the rest."""
        wait_s = point.width_s - (self._aperture_s if point.measure else 0.0)
        if wait_s < 0:
            raise Unsupported(
                f"{self._name}: a level of {point.width_s:g} s is shorter than its reading,"
                f" {self._aperture_s:g} s"
            )
        return wait_s

    def _run(self, command: str, duration_s: float, count: int | None) -> list[Measured]:
        """Run a function of the script; its readings, ``count`` of them unless that is open."""
        self._make_precise()
        timeout_s = 2 * duration_s + self._settings.timeout_s
        reply = self.link.query(command, timeout_s=timeout_s).strip()
        self._level_v = 0.0
        word, _, message = reply.partition("\t")
        if word in {"stopped", "errors"}:
            self._raise_errors()
            raise InstrumentFault(f"{self.link.address}: {command} stopped: {message}")
        fields = [] if word == "none" else reply.split(",")
        values = [parse_number(self.link, command, field) for field in fields]
        if len(values) % 2 or (count is not None and len(values) != 2 * count):
            raise UnexpectedReply(
                f"{self.link.address}: {command} answered {len(values)} values for"
                f" {'its' if count is None else count} readings with their status"
            )
        return [_measured(*values[n : n + 2]) for n in range(0, len(values), 2)]

    def _boolean(self, expression: str) -> bool:
        reply = self.link.query(f"print({expression})").strip()
        if reply not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: print({expression}) answered {reply!r}")
        return reply == "true"


def _as_pulses(points: Sequence[TrainPoint]) -> _Pulses | None:
    """Equal pulses with equal pauses at 0 V between them, if that is what the points are."""
    on, off = points[0], points[1] if len(points) > 1 else TrainPoint(0.0, points[0].width_s)
    alike = all(point == (off if n % 2 else on) for n, point in enumerate(points))
    if not alike or on.measure or off.measure or off.level_v != 0:
        return None
    return _Pulses(on.level_v, on.width_s, off.width_s, (len(points) + 1) // 2)


def _measured(current_a: float, status: float) -> Measured:
    flags = Flag(0)
    if abs(current_a) >= OVERFLOW:
        flags |= Flag.OVER_RANGE
    if int(status) & STATUS_COMPLIANCE:
        flags |= Flag.COMPLIANCE
    return Measured(math.nan if flags else current_a, flags)
