"""A Keysight InfiniiVision oscilloscope with probes on lines of the array.

Commands after the programmer's guide of the InfiniiVision 3000 X-Series: ``:AER?`` p. 192,
``:OPERegister:CONDition?`` p. 207 and 209, ``:WAVeform:PREamble?`` p. 940 (also in the guide of the
2000 X-Series, p. 644), a single shot of a device that is triggered once p. 784 there. It sees the
voltage of a line as the circuit has it, in 12 bits (high-resolution acquisition), clipped at the
screen's edges.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.types import FloatArray
from hwloop_sim.virtual.circuit.circuit import Change
from hwloop_sim.virtual.languages.scpi import (
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
    scientific,
)

CHANNELS = 4
LEFT = 0.1  # one of ten divisions lies before the reference point LEFT
BITS, WORD_STEPS = 12, 65536
MOST_POINTS = 20_000
RUNNING, WORD_FORMAT, HIGH_RESOLUTION = 1 << 3, 1, 3


@dataclass(frozen=True)
class _Step:
    """The voltages of the lines from a moment on."""

    time_s: float
    lines_v: Mapping[str, float]


@dataclass
class _Channel:
    """One channel: its line, "" where its probe hangs in the air."""

    line: str
    range_v: float = 40.0
    offset_v: float = 0.0


class KeysightInfiniiVision(VirtualScpiInstrument):
    """Four channels; ``probes`` in the settings: the line of each channel that has one."""

    identity = "KEYSIGHT TECHNOLOGIES,DSO-X 3014T,MY00000000,07.50.2021102830"

    def __init__(self, *args: Any, settings: Any, **kwargs: Any) -> None:
        super().__init__(*args, settings=settings, **kwargs)
        self._probes = {int(n): str(line) for n, line in settings["probes"].items()}
        self.reset()
        for number in range(1, CHANNELS + 1):
            self._add_channel(number)
        self._add_timebase()
        self._add_waveform()
        self.on(":SINGle", set=lambda _: self._arm())
        self.on(":STOP", set=lambda _: self._stop())
        self.on(":AER", get=lambda _: self._armed_event())
        self.on(":OPERegister:CONDition", get=lambda _: str(self._running()))

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def reset(self) -> None:
        self._channels = {n: _Channel(self._probes.get(n, "")) for n in range(1, CHANNELS + 1)}
        self._window_s, self._position_s = 1e-3, 0.0
        self._trigger, self._level_v, self._slope, self._sweep = 1, 0.0, "POS", "AUTO"
        self._source, self._points = 1, 1000
        self._armed_s: float | None = None
        self._begin_s: float | None = None
        self._armed_unread = False
        self._armed_change: Change | None = None
        self.reset_kept()

    def _add_channel(self, number: int) -> None:
        header = f":CHANnel{number}"
        self.switch_kept(f"{header}:DISPlay", on=number == 1)
        self.keep(f"{header}:COUPling", "DC", "AC", "DC")
        self.keep(f"{header}:PROBe", "10")

        def set_range(arguments: Arguments) -> None:
            self._channels[number].range_v = arguments.number(lowest=8e-3, highest=400.0)

        def set_offset(arguments: Arguments) -> None:
            self._channels[number].offset_v = arguments.number()

        self.on(
            f"{header}:RANGe",
            set=set_range,
            get=lambda _: scientific(self._channels[number].range_v),
        )
        self.on(
            f"{header}:OFFSet",
            set=set_offset,
            get=lambda _: scientific(self._channels[number].offset_v),
        )

    def _add_timebase(self) -> None:
        self.keep(":TIMebase:MODE", "MAIN", "MAIN", "WINDow", "XY", "ROLL")
        self.keep(":TIMebase:REFerence", "LEFT", "LEFT")
        self.keep(":TIMebase:POSition", "0")
        self._number_at(":TIMebase:RANGe", "_window_s", 20e-9, 500.0)
        self.keep(":TRIGger:MODE", "EDGE", "EDGE")
        self.on(
            ":TRIGger[:EDGE]:SOURce",
            set=lambda a: setattr(self, "_trigger", _channel(a)),
            get=lambda _: f"CHAN{self._trigger}",
        )
        self._number_at(":TRIGger[:EDGE]:LEVel", "_level_v", -400.0, 400.0)
        self._choice_at(":TRIGger[:EDGE]:SLOPe", "_slope", "POSitive", "NEGative")
        self._choice_at(":TRIGger:SWEep", "_sweep", "AUTO", "NORMal")
        self.keep(":ACQuire:TYPE", "NORM", "NORMal", "HRESolution")

    def _add_waveform(self) -> None:
        self.keep(":WAVeform:FORMat", "WORD", "WORD")
        self.keep(":WAVeform:BYTeorder", "MSBF", "MSBFirst")
        self.switch_kept(":WAVeform:UNSigned", on=True)
        self.keep(":WAVeform:POINts:MODE", "RAW", "RAW", "MAXimum", "NORMal")
        self.on(
            ":WAVeform:SOURce",
            set=lambda a: setattr(self, "_source", _channel(a)),
            get=lambda _: f"CHAN{self._source}",
        )
        self._number_at(":WAVeform:POINts", "_points", 100, MOST_POINTS)
        self.on(":WAVeform:PREamble", get=lambda _: self._preamble())
        self.on(":WAVeform:DATA", get=lambda _: self._data())

    def _number_at(self, header: str, name: str, lowest: float, highest: float) -> None:
        def told(arguments: Arguments) -> None:
            setattr(self, name, arguments.number(lowest=lowest, highest=highest))

        self.on(header, set=told, get=lambda _: scientific(getattr(self, name)))

    def _choice_at(self, header: str, name: str, *forms: str) -> None:
        self.on(
            header,
            set=lambda a: setattr(self, name, a.choice(*forms)),
            get=lambda _: str(getattr(self, name)),
        )

    def _arm(self) -> None:
        """Start a single acquisition; it waits for its trigger once what comes before is kept."""
        self._clock.advance(LEFT * self._window_s)
        self._armed_s, self._begin_s, self._armed_unread = self._clock.now_s, None, True
        changes = self._circuit.changes
        self._armed_change = changes[-1] if changes else None

    def _stop(self) -> None:
        self._armed_s = None

    def _armed_event(self) -> str:
        event, self._armed_unread = self._armed_unread, False
        return str(int(event))

    def _running(self) -> int:
        """Return the run bit: set until the trigger has come and the window is full.

        Whoever asks again and again waits meanwhile: a question lasts as long as the window.
        """
        if self._armed_s is None:
            return 0
        trigger_s = self._triggered_s()
        if trigger_s is None:
            return RUNNING
        self._begin_s = trigger_s - LEFT * self._window_s
        end_s = self._begin_s + self._window_s
        self._clock.advance(max(0.0, end_s - self._clock.now_s))
        self._armed_s = None
        return 0

    def _triggered_s(self) -> float | None:
        """Return the moment of the first edge since it was armed; at once where it sweeps AUTO."""
        armed_s = self._armed_s or 0.0
        line, sign = self._channels[self._trigger].line, -1.0 if self._slope == "NEG" else 1.0
        before_v = math.inf
        for change in self._since_armed():
            volts = sign * change.lines_v.get(line, 0.0)
            if before_v < sign * self._level_v <= volts:
                return change.time_s
            before_v = volts
        return armed_s + LEFT * self._window_s if self._sweep == "AUTO" else None

    def _since_armed(self) -> list[Change]:
        """Return the change before it was armed, and all later ones: some at the same moment."""
        changes = list(self._circuit.changes)
        for place in range(len(changes) - 1, -1, -1):
            if changes[place] is self._armed_change:
                return changes[place:]
        return changes

    def _steps(self, since_s: float) -> Iterator[_Step]:
        """Yield the state at a moment, then every later one, in order."""
        changes = list(self._circuit.changes)
        times_s = [change.time_s for change in changes]
        first = max(bisect_right(times_s, since_s) - 1, 0)
        for change in changes[first:]:
            yield _Step(max(change.time_s, since_s), change.lines_v)

    def _captured(self, channel: _Channel) -> FloatArray:
        """Return the voltages of the window, in the steps and within the edges of the screen."""
        if self._begin_s is None:
            raise ScpiError(-230, "Data corrupt or stale")
        steps = list(self._steps(self._begin_s))
        at_s = self._begin_s + (np.arange(int(self._points)) + 0.5) * self._increment_s
        place = np.searchsorted([step.time_s for step in steps], at_s, side="right") - 1
        line_v = np.array([step.lines_v.get(channel.line, 0.0) for step in steps])
        seen_v = line_v[np.maximum(place, 0)]
        half_v, step_v = channel.range_v / 2, channel.range_v / 2**BITS
        seen_v = np.clip(seen_v - channel.offset_v, -half_v, half_v - step_v)
        shown_v: FloatArray = np.round(seen_v / step_v) * step_v + channel.offset_v
        return shown_v

    @property
    def _increment_s(self) -> float:
        return self._window_s / int(self._points)

    def _preamble(self) -> str:
        channel = self._channels[self._source]
        fields = (
            *(WORD_FORMAT, HIGH_RESOLUTION, int(self._points), 1),
            scientific(self._increment_s),
            scientific(-LEFT * self._window_s),
            *(0, scientific(channel.range_v / WORD_STEPS), scientific(channel.offset_v)),
            WORD_STEPS // 2,
        )
        return ",".join(map(str, fields))

    def _data(self) -> str:
        channel = self._channels[self._source]
        steps = (self._captured(channel) - channel.offset_v) / (channel.range_v / WORD_STEPS)
        words = np.clip(np.round(steps) + WORD_STEPS // 2, 0, WORD_STEPS - 1).astype(">u2")
        content = words.tobytes().decode("latin-1")
        return f"#8{len(content):08d}{content}"


def _channel(arguments: Arguments) -> int:
    word = arguments.text().upper()
    number = word.removeprefix("CHANNEL").removeprefix("CHAN")
    if not (number.isdigit() and 1 <= int(number) <= CHANNELS):
        raise ScpiError(*OUT_OF_RANGE)
    return int(number)
