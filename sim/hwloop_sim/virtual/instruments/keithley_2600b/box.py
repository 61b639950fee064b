"""A Keithley 2600B: one or two source-measure channels that speak TSP.

Names, defaults and status bits after the Series 2600B reference manual, 2600BS-901-01. Leads have
no resistance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop_sim.virtual.instruments.keithley_2600b.channel import (
    DC_VOLTS,
    SourceMeasureChannel,
)
from hwloop_sim.virtual.instruments.keithley_2600b.mainframe import Mainframe2600B
from hwloop_sim.virtual.instruments.keithley_2600b.models import MODELS
from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument
from hwloop_sim.virtual.languages.tsp_tables import Node, TspError, as_number

LEAST_PULSE_S = 1e-4
MOST_OVERLAP_S = 1e8


@dataclass(frozen=True)
class _Pulses:
    """A pulse train that was configured under a tag."""

    channel: SourceMeasureChannel
    bias_v: float
    level_v: float
    limit_a: float
    on_s: float
    off_s: float
    count: int
    buffer: Any


class Keithley2600B(VirtualTspInstrument):
    """Channels ``a`` and, with two, ``b``; ``settings.model`` says which model it is."""

    version = "3.4.0"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = str(self._settings.get("model", "2602B"))
        known = MODELS.get(self.model)
        if known is None:
            raise ConfigError(f"{self.model!r}: a 2600B is one of {', '.join(MODELS)}", key="model")
        self._channels = {
            letter: SourceMeasureChannel(
                self.root.node(f"smu{letter}"),
                f"{self._name}.{letter}",
                known,
                circuit=self._circuit,
                clock=self._clock,
                noise=self._noise,
                line_hz=self.line_hz,
            )
            for letter in known.letters
        }
        self._pulses: dict[float, _Pulses] = {}
        self.mainframe = Mainframe2600B(
            self.root,
            self._clock,
            self._channels,
            model=self.model,
            serial=self.serial,
            reset=self.reset,
        )
        self._declare_pulses()
        self._declare_statuses()

    @override
    def trip(self) -> None:
        for channel in self._channels.values():
            channel.trip()

    @override
    def output_states(self) -> dict[str, bool]:
        return {letter: channel.is_on for letter, channel in self._channels.items()}

    @override
    def reset(self) -> None:
        self._pulses.clear()
        self.mainframe.reset()
        for channel in self._channels.values():
            channel.reset()

    def _declare_pulses(self) -> None:
        self.root.function("ConfigPulseVMeasureI", self._configure)
        self.root.function("InitiatePulseTest", self._initiate)

    @override
    def wait_complete(self) -> None:
        self._clock.advance_until(self._is_idle, MOST_OVERLAP_S)

    @override
    def device_clear(self) -> None:
        super().device_clear()
        for channel in self._channels.values():
            channel.meter.abort()

    def _is_idle(self) -> bool:
        return not any(channel.meter.is_busy for channel in self._channels.values())

    def _declare_statuses(self) -> None:
        for letter, channel in self._channels.items():
            status = f"status.measurement.instrument.smu{letter}"
            self.root.on(f"{status}.condition", get=channel.condition)
            self.root.on(f"{status}.event", get=channel.take_event)

    def _configure(
        self,
        smu: Any,
        bias: Any,
        level: Any,
        limit: Any,
        on_s: Any,
        off_s: Any,
        points: Any,
        buffer: Any,
        tag: Any,
    ) -> tuple[bool, str]:
        channel = self._channel(smu)
        bias_v, level_v, limit_a = as_number(bias), as_number(level), as_number(limit)
        count = int(as_number(points))
        pulses = _Pulses(
            channel, bias_v, level_v, limit_a, as_number(on_s), as_number(off_s), count, buffer
        )
        refusal = _refusal(pulses)
        if refusal:
            return False, refusal
        self._pulses[as_number(tag)] = pulses
        return True, f"pulse train {as_number(tag):g} configured"

    def _initiate(self, tag: Any) -> tuple[bool, str]:
        pulses = self._pulses.get(as_number(tag))
        if pulses is None:
            return False, "no pulse train with this tag"
        channel = pulses.channel
        limit_a = channel.limit_a
        channel.set_limit(pulses.limit_a)
        for _ in range(pulses.count):
            channel.set_level(pulses.level_v)
            aperture_s = channel.meter.aperture_s if pulses.buffer is not None else 0.0
            self._clock.advance(pulses.on_s - aperture_s)
            if pulses.buffer is not None:
                channel.meter.measure("i", pulses.buffer)
            channel.set_level(pulses.bias_v)
            self._clock.advance(pulses.off_s)
        channel.set_limit(limit_a)
        return True, "pulse train finished"

    def _channel(self, smu: Any) -> SourceMeasureChannel:
        for channel in self._channels.values():
            if isinstance(smu, Node) and smu is channel.node:
                return channel
        raise TspError(-104, "Data type error")


def _refusal(pulses: _Pulses) -> str:
    """Return why the factory script would not run these pulses; empty if it would."""
    channel = pulses.channel
    checks = {
        "source function must be volts": channel.function != DC_VOLTS,
        "source autorange must be off": channel.source_auto,
        "measure autorange must be off": channel.meter.measure_auto,
        "autozero must not be automatic": channel.meter.zeroes,
        "output must be on": not channel.is_on,
        "a level is beyond the source range": not channel.in_range(pulses.bias_v, pulses.level_v),
        "limit is beyond what the channel can do": not channel.can_limit(pulses.limit_a),
        "ton or toff is too short": min(pulses.on_s, pulses.off_s) < LEAST_PULSE_S,
        "ton is shorter than the measurement": (
            pulses.buffer is not None and pulses.on_s < channel.meter.aperture_s
        ),
        "points must be 1 or more": pulses.count < 1,
    }
    return "; ".join(text for text, wrong in checks.items() if wrong)
