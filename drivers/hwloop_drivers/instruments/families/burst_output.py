"""An output of a function generator that waits in a triggered burst: its rest is the level.

The generator stays in its pulse function, in a burst that waits for a trigger. Until then it rests
at the low level, or at the high one where the polarity is inverted, so that a constant level is
where it rests, a pulse is one trigger away, and nothing between them changes the function or moves
a relay. While no pulse is wanted its other level is only ``least_v`` away, so that a stray trigger
does next to nothing. It listens to the bus only while a train is to be made, since ``*TRG``
triggers every output that listens.

A pulse of the other sign than the last one needs the other polarity; while that is changed, the
line sees ``least_v`` towards the coming pulse for the time of two commands.
"""

from __future__ import annotations

import math

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.burst_dialect import Bounds, Dialect, Shape, level_step_v
from hwloop_drivers.instruments.families.common import number, parse_number, refuse_above
from hwloop_drivers.instruments.families.scpi import ScpiSpeaker
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import PulseGenerator

INFINITE = 9.8e37  # and above: the answer for an infinite load
SAME = 1e-6  # relative: times that differ less are the same


class BurstOutput(ScpiSpeaker, PulseGenerator):
    """One output that waits in triggered bursts; ``name`` is for messages.

    Levels have four digits, and no finer steps than 0.1 mV: the instrument rounds to them, the
    rounded level is read back, and :attr:`source_voltage` returns it.
    """

    def __init__(
        self, link: Link, settings: LinkSettings, name: str, dialect: Dialect, bounds: Bounds
    ) -> None:
        super().__init__(link, settings)
        self._timeout_s = settings.timeout_s
        self._name, self._dialect, self._bounds = name, dialect, bounds
        self._range_v = bounds.most_v - bounds.least_v
        self._shape: Shape | None = None

    def forget(self) -> None:
        """Forget levels that were known before the instrument was reset."""
        self._shape = None

    def read_back(self) -> dict[str, object]:
        """Return load and voltage limits as the instrument has them."""
        d = self._dialect
        questions = {"load_ohm": d.load, "limit_high_v": d.limit_high, "limit_low_v": d.limit_low}
        return {name: self._ask(f"{header}?") for name, header in questions.items()}

    @override
    def set_up(self, *, range_v: float) -> None:
        # Open-circuit load, triggered bursts, 0 V, a locked range, limits; all read back. The
        # voltage limits are ±(``range_v`` + the smallest amplitude), which a level at the end
        # of the range needs beside it. The instrument must have been reset, or its output be off:
        # what it did before it waits for triggers is unknown.
        d, least_v = self._dialect, self._bounds.least_v
        refuse_above(f"{self._name}: range", range_v, self._bounds.most_v - least_v, "V")
        bound_v = abs(range_v) + least_v
        self._set(f"{d.limits} 0")  # else the load cannot be changed
        self._set_load()
        for header, word in ((d.source, d.parked), *d.waiting):
            self._set_word_confirmed(header, word)
        for command in d.edges:
            self._set(command)
        self._range_v = abs(range_v)
        self._move(0.0)
        self._lock_range(bound_v)
        self._set_confirmed(d.limit_high, bound_v)
        self._set_confirmed(d.limit_low, -bound_v)
        self._set_word_confirmed(d.limits, "1")
        # Again after all settings, since one may change another.
        self._confirm_load()
        self._confirm_all({d.source: d.parked, **dict(d.waiting), d.limits: "1"})
        self._confirm_all({d.limit_high: bound_v, d.limit_low: -bound_v})

    @property
    @override
    def source_voltage(self) -> float:
        # The level at which it rests, as the instrument has rounded it.
        return (self._shape or self._asked_shape()).rest_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        refuse_above(f"{self._name}: level", level_v, self._range_v, "V")
        self._move(level_v)
        if self._errors == "each":
            self._raise_errors()

    @property
    @override
    def source_enabled(self) -> bool:
        return self._ask(f"{self._dialect.output}?") != 0

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f"{self._dialect.output} {int(on)}")

    @override
    def refuse_pulses(
        self, *, level_v: float, width_s: float, count: int, interval_s: float | None = None
    ) -> None:
        # By the model's largest and smallest amplitude, width, step of widths and count.
        bounds = self._bounds
        refuse_above(f"{self._name}: level", level_v, bounds.most_v - bounds.least_v, "V")
        if not abs(level_v) >= bounds.least_v:
            raise Unsupported(
                f"{self._name}: a pulse of {level_v:g} V is below its {bounds.least_v:g} V"
            )
        if not bounds.least_width_s <= width_s <= bounds.most_width_s:
            raise Unsupported(
                f"{self._name}: a width of {width_s:g} s is outside {bounds.least_width_s:g} to"
                f" {bounds.most_width_s:g} s"
            )
        steps = width_s / bounds.width_step_s
        if abs(steps - round(steps)) > SAME * steps:
            raise Unsupported(
                f"{self._name}: a width of {width_s:.9g} s is no multiple of"
                f" {bounds.width_step_s:g} s"
            )
        if not 1 <= count <= bounds.most_count:
            raise Unsupported(f"{self._name}: {count} pulses; 1 to {bounds.most_count} in a burst")
        if interval_s is not None:
            self._refuse_interval(interval_s, width_s)

    def _refuse_interval(self, interval_s: float, width_s: float) -> None:
        """Raise Unsupported unless a period of width and interval is one that it can make."""
        bounds = self._bounds
        least_s = max(bounds.least_period_s - width_s, bounds.beside_width_s)
        most_s = 2 * bounds.most_width_s - width_s
        if not least_s <= interval_s <= most_s:
            raise Unsupported(
                f"{self._name}: an interval of {interval_s:g} s after pulses of {width_s:g} s is"
                f" outside {least_s:.4g} to {most_s:.4g} s"
            )

    @override
    def apply_pulses(
        self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
    ) -> None:
        # A burst of pulses with the interval that is asked for, else with pauses of their own
        # width, or the shortest possible. It returns when the burst has ended, the last pause
        # included. All that shapes it is read back before it is triggered.
        self.refuse_pulses(level_v=level_v, width_s=width_s, count=count, interval_s=interval_s)
        refuse_above(f"{self._name}: level", level_v, self._range_v, "V")
        now = self._shape or self._asked_shape()
        if now.rest_v != 0:
            raise Unsupported(f"{self._name}: its level is {now.rest_v:g} V; pulses begin at 0 V")
        d = self._dialect
        period_s = max(2 * width_s, self._bounds.least_period_s)
        if interval_s is not None:
            period_s = width_s + interval_s
        # The narrowest pulse in between: width and period never contradict each other.
        self._set(
            f"{d.width} MIN;{d.period} {number(period_s)};{d.width} {number(width_s)}"
            f";{d.count} {count}"
        )
        self._move(0.0, peak_v=level_v)
        self._confirm_times(width_s=width_s, period_s=period_s, count=count)
        self._trigger(count * period_s)
        self._disarm()

    def make_safe(self) -> None:
        """Go to 0 V if it waits for triggers, then switch off even after an error; not read back.

        An output that does not wait for triggers is switched off first, and its offset set to 0
        afterwards.
        """
        waiting = False
        try:
            waiting = self.rest_at_zero()
        finally:
            self.link.write(f"{self._dialect.output} 0")
        if not waiting:
            self.link.write(f"{self._dialect.offset} 0")

    def rest_at_zero(self) -> bool:
        """Go to 0 V, read back, if it waits for triggers; return whether it does."""
        self.link.write(f"{self._dialect.source} {self._dialect.parked}")
        if not self._is_waiting():
            return False
        self._shape = None
        self._move(0.0)
        return True

    def _is_waiting(self) -> bool:
        words = [
            self.link.query(f"{header}?").strip().strip('"').upper()
            for header, _ in self._dialect.waiting
        ]
        return words == [word for _, word in self._dialect.waiting]

    def _set_load(self) -> None:
        d = self._dialect
        self._set(f"{d.load} {number(d.load_ohm) if math.isfinite(d.load_ohm) else 'INF'}")
        self._confirm_load()

    def _confirm_load(self) -> None:
        d = self._dialect
        if math.isfinite(d.load_ohm):
            self._confirm_setting(d.load, d.load_ohm)
            return
        read = self._ask(f"{d.load}?")
        if read < INFINITE:
            raise InstrumentFault(
                f"{self.link.address}: {d.load} was set to INF but reads back {number(read)}"
            )

    def _lock_range(self, bound_v: float) -> None:
        """Choose the range for the largest amplitude: its relays would disturb the line later."""
        d = self._dialect
        if not d.lock_range:
            return
        self._move(0.0, peak_v=bound_v)
        self._set(d.lock_range)
        if self._ask(d.locked) != 0:
            raise InstrumentFault(f"{self.link.address}: {d.lock_range} left the range unlocked")
        self._disarm()

    def _move(self, rest_v: float, *, peak_v: float | None = None) -> None:
        """Rest at a level, ready to pulse to another; both are read back and kept.

        Without ``peak_v`` the polarity stays, and the other level is the least distance away.
        """
        now = self._shape or self._asked_shape()
        least_v = self._bounds.least_v
        if peak_v is None:
            peak_v = rest_v - least_v if now.inverted else rest_v + least_v
        self._shape = None
        self.link.write(";".join(self._path(now, rest_v, peak_v)))
        read = self._asked_shape()
        self._confirm_shape(read, rest_v, peak_v)
        self._shape = read

    def _confirm_shape(self, read: Shape, rest_v: float, peak_v: float) -> None:
        """Raise InstrumentFault unless levels read back within half a step of their resolution."""
        d = self._dialect
        high_v, low_v = max(rest_v, peak_v), min(rest_v, peak_v)
        for header, is_v, sent_v in ((d.high, read.high_v, high_v), (d.low, read.low_v, low_v)):
            if abs(is_v - sent_v) > level_step_v(sent_v) * 0.5001:
                raise InstrumentFault(
                    f"{self.link.address}: {header} was set to {number(sent_v)} but reads back"
                    f" {number(is_v)}"
                )
        if read.inverted != (peak_v < rest_v):
            raise InstrumentFault(
                f"{self.link.address}: {d.polarity} reads back {'INV' if read.inverted else 'NORM'}"
            )

    def _path(self, now: Shape, rest_v: float, peak_v: float) -> list[str]:
        """Return the commands from one shape to another: high stays above low, rest moves once."""
        d, least_v, at_v = self._dialect, self._bounds.least_v, now.rest_v
        commands = []
        if peak_v < rest_v and not now.inverted:
            commands = [
                f"{d.low} {number(at_v - least_v)}",
                f"{d.high} {number(at_v)}",
                f"{d.polarity} INV",
            ]
        elif peak_v > rest_v and now.inverted:
            commands = [
                f"{d.high} {number(at_v + least_v)}",
                f"{d.low} {number(at_v)}",
                f"{d.polarity} NORM",
            ]
        levels = [
            f"{d.low} {number(min(rest_v, peak_v))}",
            f"{d.high} {number(max(rest_v, peak_v))}",
        ]
        return commands + (levels[::-1] if rest_v > at_v else levels)

    def _asked_shape(self) -> Shape:
        d = self._dialect
        question = f"{d.high}?;{d.low}?;{d.polarity}?;*OPC?"
        high, low, polarity, _ = self._fields(question, 4)
        if polarity.upper() not in {"NORM", "INV"}:
            raise UnexpectedReply(f"{self.link.address}: {d.polarity}? answered {polarity!r}")
        high_v, low_v = (parse_number(self.link, question, field) for field in (high, low))
        return Shape(high_v, low_v, inverted=polarity.upper() == "INV")

    def _confirm_times(self, **wanted: float) -> None:
        d = self._dialect
        headers = (d.width, d.period, d.count)
        question = ";".join(f"{header}?" for header in headers)
        fields = self._fields(question, len(headers))
        for header, field, value in zip(headers, fields, wanted.values(), strict=True):
            read = parse_number(self.link, question, field)
            if not math.isclose(read, value, rel_tol=SAME):
                raise InstrumentFault(
                    f"{self.link.address}: {header} was set to {number(value)} but reads back"
                    f" {number(read)}"
                )

    def _fields(self, question: str, count: int) -> list[str]:
        reply = self.link.query(question)
        fields = [field.strip() for field in reply.split(";")]
        if len(fields) != count:
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        return fields

    def _trigger(self, duration_s: float) -> None:
        self._set_word_confirmed(self._dialect.source, self._dialect.armed)
        timeout_s = duration_s + self._timeout_s
        reply = self.link.query("*TRG;*OPC?", timeout_s=timeout_s).strip()
        if reply != "1":
            raise UnexpectedReply(f"{self.link.address}: *TRG;*OPC? answered {reply!r}")
        if not self._dialect.waits:
            # No answer tells the burst's end; its widths are the instrument's.
            self.link.sleep(duration_s)

    def _disarm(self) -> None:
        """Park the output, so that a stray trigger makes one pulse of the smallest amplitude."""
        d = self._dialect
        self._set(f"{d.source} {d.parked};{d.count} 1")
        self._move((self._shape or self._asked_shape()).rest_v)
        if self._errors == "each":
            self._raise_errors()
