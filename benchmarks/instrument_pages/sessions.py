"""Sessions with virtual instruments through a tap: what goes over the wire, call by call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.instrument_pages.calls import Call, calls, matrix_calls
from benchmarks.instrument_pages.wire import Dialect
from hwloop import plugins
from hwloop.errors import Unsupported
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import SwitchMatrix
from hwloop_drivers.testing import InProcessLink, Tap
from hwloop_sim.virtual import OneBox

LIBRARIES = ("pymeasure", "qcodes")
SCPI, TSP = Dialect("scpi"), Dialect("tsp")
CHANNELS_2600B = {
    r"\bsmu[ab]?\b": "smuX",
    r"\bmeter\b": "smuX",
    r"\bothers\[n\]|\bothers\[k\]\[1\]": "smuX",
}


@dataclass(frozen=True)
class Setup:
    """One instrument that a page shows: kind, settings of driver and box, output or channels.

    ``also``: why it is there beside the page's first one; its calls are shown where they differ.
    ``checked_bytes``: False for a serial port, whose link notices no changed byte. ``box``: the
    virtual instrument, where it is not of the same kind.
    """

    kind: str
    settings: Mapping[str, object] = field(default_factory=dict)
    output: str = ""
    channels: tuple[str, ...] = ()
    also: str = ""
    checked_bytes: bool = True
    box: str = ""

    @property
    def library(self) -> str:
        """Get the library that an adapter needs, "" for a driver of hwloop's own."""
        return self.kind if self.kind in LIBRARIES else ""


@dataclass(frozen=True)
class Sent:
    """A call of the driver, and the messages that it sent."""

    call: str
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """An instrument's page: its dialect, and the instruments that are tried."""

    dialect: Dialect
    setups: tuple[Setup, ...]


def session(setup: Setup) -> list[Sent]:
    """Return what each call sent; calls that the driver refuses are left out."""
    with warnings.catch_warnings():
        if setup.library:
            warnings.simplefilter("ignore")
        return _session(setup)


def _session(setup: Setup) -> list[Sent]:
    kind = plugins.load(plugins.INSTRUMENTS, setup.kind)
    tap = Tap(_link(setup))
    tap.protects_bytes = setup.checked_bytes
    instrument = kind.make(tap, kind.settings.parse(dict(setup.settings)))
    sent = []
    for text, call in _calls(instrument, setup):
        before = len(tap.sent)
        try:
            call()
        except Unsupported:
            continue
        if tap.sent[before:]:
            sent.append(Sent(text, tuple(tap.sent[before:])))
    tap.close()
    return sent


def _calls(instrument: Any, setup: Setup) -> Iterator[Call]:
    if isinstance(instrument, SwitchMatrix):
        first, second, third = setup.channels
        return matrix_calls(instrument, (first, second, third))
    return calls(instrument, setup.output)


def _link(setup: Setup) -> Link:
    virtual = plugins.load("hwloop.virtual_instruments", setup.box or setup.kind)
    return InProcessLink(_box(virtual, setup).instrument.receive)


def _box(virtual: Any, setup: Setup) -> OneBox:
    if not setup.channels:
        drive = f"box.{setup.output}" if setup.output else "box"
        return OneBox(virtual, drive=drive, settings={} if setup.box else setup.settings)
    first, second, third = setup.channels
    lines: dict[str, str | dict[str, str]] = {
        "row0": {"smu": first, "gnd": second},
        "col0": {"gnd": third},
    }
    return OneBox(virtual, drive="smu", lines=lines, settings=setup.settings)


_OVER_SERIAL = "over a serial port, where no checksum protects the bytes"

_FOUR_WIRE = "with `four_wire: true`"


def _foreign(library: str, made_by: str) -> Subject:
    settings = {
        "class": made_by,
        "identity": "MODEL 2400",
        "most_v": 210,
        "least_a": "1 nA",
        "most_a": 1.05,
    }
    return Subject(SCPI, (Setup(library, settings, box="keithley_2400"),))


SUBJECTS: dict[str, Subject] = {
    "keithley_2400": Subject(
        SCPI,
        (
            Setup("keithley_2400", {"nplc": 0.1}),
            Setup("keithley_2400", {"nplc": 0.1}, also=_OVER_SERIAL, checked_bytes=False),
        ),
    ),
    "keithley_2450": Subject(SCPI, (Setup("keithley_2450"),)),
    "keithley_2450_tsp": Subject(
        TSP,
        (
            Setup("keithley_2450", {"language": "tsp"}),
            Setup("keithley_2450", {"language": "tsp", "four_wire": True}, also=_FOUR_WIRE),
        ),
    ),
    "keithley_2600b": Subject(
        Dialect("tsp", CHANNELS_2600B),
        (
            Setup("keithley_2600b", {"model": "2602B"}, "a"),
            Setup("keithley_2600b", {"model": "2602B", "four_wire": True}, "a", also=_FOUR_WIRE),
            Setup("keithley_2600b", {"model": "2635B"}, "a", also="a 2635B"),
        ),
    ),
    "keithley_3706a": Subject(
        TSP, (Setup("keithley_3706a", {"cards": {1: "3730"}}, channels=("1101", "1204", "1616")),)
    ),
    "keithley_7001": Subject(
        SCPI, (Setup("keithley_7001", channels=("1!1!1", "1!2!3", "2!4!10")),)
    ),
    "keithley_707b": Subject(
        TSP, (Setup("keithley_707b", {"cards": {1: "7072"}}, channels=("1A01", "1B04", "1H12")),)
    ),
    "keysight_33500b": Subject(SCPI, (Setup("keysight_33500b", {"model": "33522B"}, "1"),)),
    "keysight_34980a": Subject(
        SCPI,
        (
            Setup("keysight_34980a", {"modules": {1: "34932A"}}, channels=("1101", "1203", "1816")),
            Setup(
                "keysight_34980a",
                {"modules": {8: "34934A-8x64"}},
                channels=("8101", "8203", "8864"),
                also="with a 34934A",
            ),
        ),
    ),
    "keysight_81160a": Subject(SCPI, (Setup("keysight_81160a", {"channels": 2}, "1"),)),
    "keysight_b2900": Subject(SCPI, (Setup("keysight_b2900", {"model": "B2902A"}, "1"),)),
    "keysight_e5250a": Subject(
        SCPI,
        (
            Setup("keysight_e5250a", channels=("10101", "10204", "11012")),
            Setup(
                "keysight_e5250a",
                {"bias_port": 10},
                channels=("10101", "10204", "10912"),
                also="with a bias port",
            ),
        ),
    ),
    "serial_board": Subject(
        Dialect("words", framed=True),
        (
            Setup(
                "serial_board",
                {"buses": 3, "lines": 4, "ground_bus": 3, "watchdog_s": 10},
                channels=("r1c1", "r1c2", "r2c3"),
            ),
        ),
    ),
    "pymeasure_keithley_2400": _foreign("pymeasure", "pymeasure.instruments.keithley.Keithley2400"),
    "qcodes_keithley_2400": _foreign("qcodes", "qcodes.instrument_drivers.Keithley.Keithley2400"),
}
