"""A Keysight InfiniiVision oscilloscope as witness; it only watches, and drives nothing.

Commands after the programmer's guide of the InfiniiVision 3000 X-Series: ``:AER?`` p. 192,
``:OPERegister:CONDition?`` p. 207, ``:WAVeform:PREamble?`` p. 940; a single shot as in the guide of
the 2000 X-Series, p. 784. Channels, time base, acquisition and waveform as in PyMeasure's driver of
a DSOX1102G. Unconfirmed: ``:TRIGger:SWEep``, ``:WAVeform:BYTeorder``, ``:WAVeform:UNSigned``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from hwloop.errors import ConfigError, InstrumentTimeout, UnexpectedReply
from hwloop.station.parts import WitnessEntry
from hwloop.types import FloatArray
from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.opening import open_link

KINDS = ("keysight_infiniivision",)
MODELS = ("DSO-X", "MSO-X", "DSOX", "MSOX", "EDUX")
POINTS = 10_000
RUNNING = 1 << 3
POLL_S, GRACE_S, ARMED_S = 0.02, 0.5, 5.0
REST_WINDOW_S = 1e-3
PREAMBLE_FIELDS = 10


class InfiniiVisionSettings(LinkSettings):
    """``probe``: attenuation of the probes."""

    probe: float = Field(default=10.0, gt=0)


@dataclass(frozen=True)
class Shot:
    """One single acquisition.

    ``screens_v``: lowest and highest voltage on the screen, by line. ``window_s``: how long, a
    tenth of it before the trigger. ``trigger``: the line whose edge starts it, None to start at
    once. ``level_v``: at which, rising where it is positive.
    """

    screens_v: Mapping[str, tuple[float, float]]
    window_s: float
    trigger: str | None = None
    level_v: float = 0.0


@dataclass(frozen=True)
class LineTrace:
    """Voltage of a line over time; ``full_scale_v``: of the screen, for the accuracy."""

    time_s: FloatArray
    volts: FloatArray
    full_scale_v: float

    @property
    def step_s(self) -> float:
        """Return the time from one point to the next."""
        return float(self.time_s[1] - self.time_s[0])


class Oscilloscope:
    """An InfiniiVision with a probe on some lines, named by ``probes``: channel → line."""

    def __init__(self, link: Link, entry: WitnessEntry, settings: InfiniiVisionSettings) -> None:
        self._link = link
        self._channels = {line: channel for channel, line in entry.probes.items()}
        self._probe = settings.probe
        self.accuracy = entry.accuracy
        self.id = ""

    @property
    def lines(self) -> list[str]:
        """Return the lines that have a probe."""
        return list(self._channels)

    def prepare(self) -> None:
        """Verify the identity, reset, and set what every shot has in common."""
        self.id = self._link.query("*IDN?").strip()
        if not any(model in self.id for model in MODELS):
            raise UnexpectedReply(
                f"{self._link.address}: expected an InfiniiVision oscilloscope, found {self.id!r}"
            )
        self._link.write("*RST")
        self._link.write("*CLS")
        for channel in self._channels.values():
            self._link.write(f":CHANnel{channel}:DISPlay 1")
            self._link.write(f":CHANnel{channel}:COUPling DC")
            self._link.write(f":CHANnel{channel}:PROBe {number(self._probe)}")
        for command in (
            ":TIMebase:MODE MAIN",
            ":TIMebase:REFerence LEFT",
            ":TIMebase:POSition 0",
            ":TRIGger:MODE EDGE",
            ":ACQuire:TYPE HRESolution",
            ":WAVeform:FORMat WORD",
            ":WAVeform:BYTeorder MSBFirst",
            ":WAVeform:UNSigned 1",
            ":WAVeform:POINts:MODE RAW",
        ):
            self._link.write(command)
        self._refuse_errors()

    def arm(self, shot: Shot) -> None:
        """Set a shot up, and return when the oscilloscope waits for its trigger."""
        write = self._link.write
        for line, (low_v, high_v) in shot.screens_v.items():
            channel = self._channels[line]
            write(f":CHANnel{channel}:RANGe {number(high_v - low_v)}")
            write(f":CHANnel{channel}:OFFSet {number((high_v + low_v) / 2)}")
        write(f":TIMebase:RANGe {number(shot.window_s)}")
        if shot.trigger is None:
            write(":TRIGger:SWEep AUTO")
        else:
            write(":TRIGger:SWEep NORMal")
            write(f":TRIGger:EDGE:SOURce CHANnel{self._channels[shot.trigger]}")
            write(f":TRIGger:EDGE:SLOPe {'POSitive' if shot.level_v > 0 else 'NEGative'}")
            write(f":TRIGger:EDGE:LEVel {number(shot.level_v)}")
        self._refuse_errors()
        self._link.query(":AER?")  # a read clears it
        write(":SINGle")
        end_s = time.monotonic() + ARMED_S
        while self._link.query(":AER?").strip().lstrip("+") != "1":
            if time.monotonic() > end_s:
                raise InstrumentTimeout(f"{self._link.address}: not armed within {ARMED_S:g} s")
            time.sleep(POLL_S)

    def capture(self, shot: Shot) -> dict[str, LineTrace]:
        """Return the traces of an armed shot by line; none where its trigger has not come."""
        end_s = time.monotonic() + shot.window_s + GRACE_S
        while self._number(":OPERegister:CONDition?") & RUNNING:
            if time.monotonic() > end_s:
                self._link.write(":STOP")
                return {}
            time.sleep(POLL_S)
        return {line: self._trace(line, shot.screens_v[line]) for line in shot.screens_v}

    def rest_v(self, most_v: float) -> dict[str, tuple[float, float]]:
        """Return the mean voltage of every line now, and its uncertainty, volts."""
        shot = Shot(dict.fromkeys(self.lines, (-most_v, most_v)), REST_WINDOW_S)
        self.arm(shot)
        traces = self.capture(shot)
        return {
            line: (float(trace.volts.mean()), self.accuracy * trace.full_scale_v)
            for line, trace in traces.items()
        }

    def close(self) -> None:
        """Close the link to it."""
        self._link.close()

    def _trace(self, line: str, screen_v: tuple[float, float]) -> LineTrace:
        self._link.write(f":WAVeform:SOURce CHANnel{self._channels[line]}")
        self._link.write(f":WAVeform:POINts {POINTS}")
        fields = self._link.query(":WAVeform:PREamble?").split(",")
        if len(fields) != PREAMBLE_FIELDS:
            raise UnexpectedReply(f"{self._link.address}: preamble {fields!r}")
        step_s, begin_s, _, step_v, middle_v, middle = map(float, fields[4:])
        words = np.frombuffer(self._link.query_binary(":WAVeform:DATA?"), dtype=">u2")
        if len(words) != int(fields[2]):
            raise UnexpectedReply(
                f"{self._link.address}: {len(words)} points came, {fields[2]} were announced"
            )
        volts = (words.astype(np.float64) - middle) * step_v + middle_v
        time_s: FloatArray = begin_s + step_s * np.arange(len(words), dtype=np.float64)
        return LineTrace(time_s, volts, screen_v[1] - screen_v[0])

    def _number(self, question: str) -> int:
        return int(float(self._link.query(question)))

    def _refuse_errors(self) -> None:
        reply = self._link.query(":SYSTem:ERRor?").strip()
        if int(reply.partition(",")[0]) != 0:
            raise UnexpectedReply(f"{self._link.address}: {reply}")


def open_oscilloscope(entry: WitnessEntry, address: str) -> Oscilloscope:
    """Return the witness of a station, prepared.

    Raises :class:`hwloop.errors.ConfigError` for a kind that nobody speaks, and
    :class:`hwloop.errors.BackendError` where it does not answer.
    """
    if entry.kind not in KINDS:
        raise ConfigError(f"there is no oscilloscope {entry.kind!r}: {KINDS}", key="witness.kind")
    try:
        settings = InfiniiVisionSettings.parse(entry.settings)
    except ConfigError as exc:
        raise exc.below("witness.settings") from None
    link = open_link(address, settings)
    link.address = f"witness at {address}"
    oscilloscope = Oscilloscope(link, entry, settings)
    try:
        oscilloscope.prepare()
    except BaseException:
        oscilloscope.close()
        raise
    return oscilloscope
