"""Keysight 33500B and 33600A waveform generators (SCPI); after their operating and service guide.

Pulses are triggered bursts of the pulse function, the constant level is where the burst rests:
see :mod:`hwloop_drivers.instruments.families.burst_output`. The width is that at half the height,
with the steepest edges that the model has. An output has 50 Ω in series and no limit of its
current: the device must not need one.
"""

from __future__ import annotations

from typing import Literal, get_args

from hwloop_drivers.instruments.families.burst_dialect import Bounds, Dialect
from hwloop_drivers.instruments.families.burst_generator import BurstGenerator
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

ModelName = Literal[
    "33509B",
    "33510B",
    "33511B",
    "33512B",
    "33519B",
    "33520B",
    "33521B",
    "33522B",
    "33611A",
    "33612A",
    "33621A",
    "33622A",
]
NEAR = {"33521B": ("33521A",), "33522B": ("33522A",)}
TWO_CHANNELS = frozenset({"33510B", "33512B", "33520B", "33522B", "33612A", "33622A"})


class Keysight33500BSettings(LinkSettings):
    """``model``: which one it is, for bandwidth and number of channels differ."""

    model: ModelName = "33522B"


def _bounds(model: str) -> Bounds:
    """Pulse periods as short as the bandwidth, but no shorter than full amplitude allows."""
    if model.startswith("336"):
        least_width_s = 5e-9 if model in {"33621A", "33622A"} else 8e-9
        least_period_s = 2e-8  # 20 V peak to peak into an open circuit: up to 60 MHz
    else:
        least_width_s = 16e-9
        least_period_s = 1 / 20e6 if model < "33519B" else 1 / 30e6
    return Bounds(
        most_v=10.0,
        least_v=2e-3,
        least_width_s=least_width_s,
        width_step_s=1e-10,
        most_width_s=4e5,
        least_period_s=least_period_s,
        beside_width_s=least_width_s,
        most_count=100_000_000,
    )


def _dialect(channel: int) -> Dialect:
    source, output = f":SOUR{channel}", f":OUTP{channel}"
    return Dialect(
        high=f"{source}:VOLT:HIGH",
        low=f"{source}:VOLT:LOW",
        offset=f"{source}:VOLT:OFFS",
        polarity=f"{output}:POL",
        width=f"{source}:FUNC:PULS:WIDT",
        period=f"{source}:FUNC:PULS:PER",
        count=f"{source}:BURS:NCYC",
        output=output,
        load=f"{output}:LOAD",
        limit_high=f"{source}:VOLT:LIM:HIGH",
        limit_low=f"{source}:VOLT:LIM:LOW",
        limits=f"{source}:VOLT:LIM:STAT",
        source=f":TRIG{channel}:SOUR",
        armed="BUS",
        waiting=(
            (f"{source}:FUNC", "PULS"),
            (f"{source}:BURS:MODE", "TRIG"),
            (f"{source}:BURS:STAT", "1"),
        ),
        edges=(f"{source}:FUNC:PULS:TRAN:BOTH MIN", f"{source}:BURS:NCYC 1"),
        lock_range=f"{source}:VOLT:RANG:AUTO ONCE",
        locked=f"{source}:VOLT:RANG:AUTO?",
    )


class Keysight33500B(BurstGenerator):
    """A 33500B or 33600A with its one or two outputs."""

    makers, models = KEYSIGHT, get_args(ModelName)
    abort = ":ABOR"

    def __init__(self, link: Link, settings: Keysight33500BSettings) -> None:
        channels = (1, 2) if settings.model in TWO_CHANNELS else (1,)
        super().__init__(
            link,
            settings,
            model=settings.model,
            dialects={n: _dialect(n) for n in channels},
            bounds=_bounds(settings.model),
        )
        self.near = NEAR.get(settings.model, ())


KEYSIGHT_33500B = InstrumentKind(
    name="keysight_33500b",
    summary="Keysight 33500B and 33600A waveform generators, one or two outputs, SCPI",
    settings=Keysight33500BSettings,
    make=Keysight33500B,
)
