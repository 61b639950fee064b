"""Commands of a B2900's trigger model and of its sweeps.

SCPI command reference B2910-90030, chapter 4; sources after the user's guide, 6-27.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwloop_sim.virtual.circuit.smu import VOLT
from hwloop_sim.virtual.instruments.keysight_b2900.channel import (
    ACQUIRE,
    TRANSIENT,
    TriggeredChannel,
)
from hwloop_sim.virtual.instruments.keysight_b2900.triggers import Layer
from hwloop_sim.virtual.languages.scpi import Arguments, VirtualScpiInstrument, scientific

MOST_TIME_S = 1e5
MOST_TRIGGERS = 100_000
MOST_SWEEP = 2500
ACTIONS = {"": (TRANSIENT, ACQUIRE), ":ALL": (TRANSIENT, ACQUIRE)} | {
    ":TRANsient": (TRANSIENT,),
    ":ACQuire": (ACQUIRE,),
}
SOURCES = (
    "AINT",
    "BUS",
    "TIMer",
    *(f"INT{n}" for n in (1, 2)),
    *(f"EXT{n}" for n in range(1, 15)),
    "LAN",
)


def add_triggers(
    box: VirtualScpiInstrument, suffix: str, channel: TriggeredChannel, *, least_interval_s: float
) -> None:
    """Register both layers of both actions of a channel."""
    for form, actions in ACTIONS.items():

        def triggers(actions: tuple[str, ...] = actions) -> list[Layer]:
            return [channel.triggers[action] for action in actions]

        def arms(actions: tuple[str, ...] = actions) -> list[Layer]:
            return [channel.triggers[action].arm for action in actions]

        _add_layer(box, f":TRIGger{suffix}{form}", triggers, least_interval_s)
        _add_layer(box, f":ARM{suffix}{form}", arms, least_interval_s)


def _add_layer(
    box: VirtualScpiInstrument, header: str, layers: Callable[[], list[Layer]], least_s: float
) -> None:
    def setting(
        name: str, parse: Callable[[Arguments], Any], show: Callable[[Any], str]
    ) -> dict[str, Any]:
        def told(arguments: Arguments) -> None:
            value = parse(arguments)
            for layer in layers():
                setattr(layer, name, value)

        return {"set": told, "get": lambda _: show(getattr(layers()[0], name))}

    source = setting("source", lambda a: a.choice(*SOURCES), str)
    box.on(f"{header}:SOURce[:SIGNal]", **source)
    bounds = {"lowest": least_s, "highest": MOST_TIME_S}
    interval = setting("timer_s", lambda a: a.number(**bounds), scientific)
    box.on(f"{header}:TIMer", **interval)
    delay = setting("delay_s", lambda a: a.number(lowest=0, highest=MOST_TIME_S), scientific)
    box.on(f"{header}:DELay", **delay)
    count = setting("count", lambda a: int(a.number(lowest=1, highest=MOST_TRIGGERS)), str)
    box.on(f"{header}:COUNt", **count)


def add_sweep(
    box: VirtualScpiInstrument, level: str, sweep: str, function: str, channel: TriggeredChannel
) -> None:
    """Register start, stop and points of a sweep of volts or amperes.

    ``level``: the header of its levels. ``sweep``: that of what both functions share.
    """
    smu, most = channel.smu, channel.smu.model.most(function)

    def at(header: str, name: str, parse: Callable[[Arguments], Any]) -> None:
        box.on(
            header,
            set=lambda a: setattr(channel.sweeps[function], name, parse(a)),
            get=lambda _: scientific(getattr(channel.sweeps[function], name)),
        )

    def end(arguments: Arguments) -> float:
        value = arguments.number(lowest=-most, highest=most, default=0.0)
        smu.check_level(function, value)
        return value

    def points(arguments: Arguments) -> int:
        return int(arguments.number(lowest=1, highest=MOST_SWEEP, default=1))

    at(f"{level}:STARt", "start", end)
    at(f"{level}:STOP", "stop", end)
    at(f"{level}:POINts", "points", points)
    if function == VOLT:
        _add_shared(box, sweep, channel)


def _add_shared(box: VirtualScpiInstrument, header: str, channel: TriggeredChannel) -> None:
    def shared(name: str, *forms: str) -> dict[str, Any]:
        def told(arguments: Arguments) -> None:
            word = arguments.choice(*forms)
            for sweep in channel.sweeps.values():
                setattr(sweep, name, word)

        return {"set": told, "get": lambda _: getattr(channel.sweeps[VOLT], name)}

    box.on(f"{header}:DIRection", **shared("direction", "UP", "DOWN"))
    box.on(f"{header}:SPACing", **shared("spacing", "LINear", "LOGarithmic"))
    box.on(f"{header}:STAir", **shared("stair", "SINGle", "DOUBle"))
    box.keep(f"{header}:RANGing", "BEST", "BEST", "AUTO", "FIXed")


def channels_of(text: str) -> list[str]:
    """Return the channels of a list such as ``1,2`` or ``1:2``, ascending: SCPI reference, 1-8."""
    ends = [part.strip() for part in text.split(":")]
    if len(ends) == 2 and all(end.isdigit() for end in ends):
        low, high = sorted(int(end) for end in ends)
        return [str(n) for n in range(low, high + 1)]
    return sorted({part.strip() for part in text.split(",")})
