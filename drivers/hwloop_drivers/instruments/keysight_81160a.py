"""Keysight 81160A pulse function arbitrary generator (SCPI); after its user's guide, 81160-91020.

Pulses are bursts, armed by hand and triggered over the bus; the constant level is where they
rest: see :mod:`hwloop_drivers.instruments.families.burst_output`. Its smallest amplitude into an
open circuit is 100 mV: the line sees that for the time of two commands when the sign of the pulses
changes, and no pulse can be smaller. ``*OPC?`` does not wait for a burst: the driver waits for as
long as the burst lasts.
"""

from __future__ import annotations

from typing import Literal

from hwloop_drivers.instruments.families.burst_dialect import Bounds, Dialect
from hwloop_drivers.instruments.families.burst_generator import BurstGenerator
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

BOUNDS = Bounds(
    most_v=5.0,  # both the amplitude and the window of levels allow it
    least_v=0.1,
    least_width_s=1.5e-9,
    width_step_s=1e-11,
    most_width_s=4e5,
    least_period_s=3.2e-9,  # 3.03 ns, or width and 1.6 edges of 1 ns: page 142
    beside_width_s=1.6e-9,  # 1.6 edges of 1 ns: page 142
    most_count=1_000_000,
)


class Keysight81160ASettings(LinkSettings):
    """``channels``: how many outputs it has."""

    channels: Literal[1, 2] = 2


def _dialect(channel: int) -> Dialect:
    return Dialect(
        high=f":VOLT{channel}:HIGH",
        low=f":VOLT{channel}:LOW",
        offset=f":VOLT{channel}:OFFS",
        polarity=f":OUTP{channel}:POL",
        width=f":PULS:WIDT{channel}",
        period=f":PULS:PER{channel}",
        count=f":TRIG{channel}:COUN",
        output=f":OUTP{channel}",
        load=f":OUTP{channel}:LOAD",
        limit_high=f":VOLT{channel}:LIM:HIGH",
        limit_low=f":VOLT{channel}:LIM:LOW",
        limits=f":VOLT{channel}:LIM:STAT",
        source=f":ARM:SOUR{channel}",
        armed="MAN",
        waiting=((f":FUNC{channel}", "PULS"),),
        edges=(f":PULS:TRAN{channel} MIN", f":TRIG{channel}:COUN 1"),
        load_ohm=1e6,  # the largest that it can be told
        waits=False,
    )


class Keysight81160A(BurstGenerator):
    """An 81160A with its one or two outputs."""

    makers, models, near = KEYSIGHT, ("81160A",), ("81150A",)

    def __init__(self, link: Link, settings: Keysight81160ASettings) -> None:
        super().__init__(
            link,
            settings,
            model="81160A",
            dialects={n: _dialect(n) for n in range(1, settings.channels + 1)},
            bounds=BOUNDS,
        )


KEYSIGHT_81160A = InstrumentKind(
    name="keysight_81160a",
    summary="Keysight 81160A pulse generator, one or two outputs, SCPI",
    settings=Keysight81160ASettings,
    make=Keysight81160A,
)
