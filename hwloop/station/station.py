"""The station file: which instruments stand on the bench, and how they are wired to the array.

Plain data, read alike by the bench that drives the instruments and by the virtual bench that
stands in for them. Everything that can be judged without opening an instrument is judged here.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from hwloop.array.biasing import Scheme
from hwloop.array.geometry import Geometry
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.procedure.procedure import parse_yaml
from hwloop.settings.model import Settings
from hwloop.settings.units import (
    Fraction,
    Ohm,
    PositiveAmpere,
    PositiveOhm,
    PositiveSecond,
    PositiveSiemens,
    PositiveVolt,
)
from hwloop.station import checks as station_checks
from hwloop.station.checks import GROUND as GROUND
from hwloop.station.checks import instrument_of

VIRTUAL = "virtual:"
MEETING = "hwloop-virtual-"


class InstrumentEntry(Settings):
    """One instrument of a station.

    ``kind``: a driver's name. ``address``: a VISA resource, a serial port, or ``virtual:socket``,
    ``virtual:hislip``, ``virtual:serial`` for an instrument of the virtual bench. ``limit_v``,
    ``limit_a``: what it may put out here, at most. ``settings``: the driver's own.
    """

    kind: str
    address: str = Field(min_length=1)
    limit_v: PositiveVolt | None = None
    limit_a: PositiveAmpere | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_virtual(self) -> bool:
        """Whether a virtual bench answers at its address."""
        return self.address.startswith(VIRTUAL)


class Drives(Settings):
    """Which output drives what: ``rows`` the selected row, ``columns`` the selected column.

    An output is named by its instrument, or instrument.channel: ``smu.a``. The one on the columns
    is also the meter, where there is one. ``other_rows``, ``other_columns``: for V/3.
    ``gates``: the gate of the selected row of a 1T1R array.
    """

    rows: str
    columns: str | None = None
    other_rows: str | None = None
    other_columns: str | None = None
    gates: str | None = None

    def named(self) -> dict[str, str]:
        """Every drive that there is: what it drives, and the output."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class Wire(Settings):
    """How a line reaches one output or ground: by a matrix channel, or fixed (``channel`` None)."""

    line: str
    output: str
    matrix: str | None = None
    channel: str | None = None


class Wiring(Settings):
    """From the instruments to the lines of the array.

    ``drive``: see :class:`Drives`. ``lines``: for ``row0``, ``col0``, ``gate0``, … either the
    output (or ``gnd``) that it is soldered to, or the matrix channel to each output and to
    ``gnd``. With several matrices a channel is written ``matrix:channel``. ``series_ohm``: the
    resistor in the lead of an output.
    """

    drive: Drives
    lines: dict[str, str | dict[str, str]] = Field(min_length=2)
    series_ohm: dict[str, Ohm] = Field(default_factory=dict)

    @field_validator("lines")
    @classmethod
    def _names(cls, lines: dict[str, str | dict[str, str]]) -> dict[str, str | dict[str, str]]:
        counts = {kind: _count(lines, kind) for kind in ("row", "col", "gate")}
        known = {f"{kind}{n}" for kind, count in counts.items() for n in range(count)}
        for name in lines:
            if name not in known:
                raise ValueError(
                    f"line {name!r}: lines are row0, row1, …, col0, …, gate0, … without gaps"
                    f"{nearest(name, sorted(known))}"
                )
        return lines

    @field_validator("series_ohm")
    @classmethod
    def _not_negative(cls, series_ohm: dict[str, float]) -> dict[str, float]:
        for output, ohm in series_ohm.items():
            if ohm < 0:
                raise ValueError(f"{output}: {ohm:g} ohm is below 0")
        return series_ohm

    def count(self, kind: str) -> int:
        """How many lines of a kind there are: "row", "col" or "gate"."""
        return _count(self.lines, kind)


class VirtualSettings(Settings):
    """What the virtual bench puts at the station's virtual addresses.

    ``procedure``: its array and its ``backends.sim`` are emulated when the bench is started by
    itself; a run that starts its own bench emulates the array of its own procedure. ``noise``:
    whether the instruments are as noisy as the real boxes. ``real_time``: whether delays take as
    long as they say. ``latency_s``: added to every message.
    """

    procedure: Path | None = None
    noise: bool = True
    real_time: bool = False
    latency_s: float = Field(default=0.0, ge=0, le=10)


class SelfTestSettings(Settings):
    """What the self-test of ``hwloop check --touch`` goes by.

    ``least_conductance_s``: a cell that conducts less counts as not connected. ``dummy_ohm``:
    known resistors in the array's place, (rows, cols), no two lines of them alike; without them
    the values are not compared. ``tolerance``: of their values, as a fraction.
    """

    least_conductance_s: PositiveSiemens = 1e-9
    dummy_ohm: tuple[tuple[PositiveOhm, ...], ...] | None = None
    tolerance: Fraction = 0.02

    @field_validator("dummy_ohm")
    @classmethod
    def _rectangular(
        cls, dummy_ohm: tuple[tuple[float, ...], ...] | None
    ) -> tuple[tuple[float, ...], ...] | None:
        if dummy_ohm is not None and len({len(row) for row in dummy_ohm}) != 1:
            raise ValueError("every row needs the same number of resistors")
        return dummy_ohm


class Station(Settings):
    """One bench: its instruments, how they are wired, and how cells are biased with them.

    ``settle_s``: waited after relays have moved. ``wire_log``: whether everything that goes over
    the links is written into the record's log.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    about: str = ""
    scheme: Scheme
    instruments: dict[str, InstrumentEntry] = Field(min_length=1)
    wiring: Wiring
    settle_s: PositiveSecond = 1e-3
    wire_log: bool = Field(default=False, strict=True)
    self_test: SelfTestSettings = SelfTestSettings()
    virtual: VirtualSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Station:
        station_checks.check(self)
        return self

    @property
    def is_virtual(self) -> bool:
        """Whether all its instruments are those of a virtual bench."""
        return all(entry.is_virtual for entry in self.instruments.values())

    @property
    def matrices(self) -> list[str]:
        """The instruments that channels name, in the order of the file."""
        named = {wire.matrix for wire in self.wires()}
        return [name for name in self.instruments if name in named]

    @property
    def outputs(self) -> list[str]:
        """Every output that a line can be connected to, ground excepted."""
        found = dict.fromkeys(wire.output for wire in self.wires() if wire.output != GROUND)
        return list(found)

    def wires(self) -> Iterator[Wire]:
        """Every connection that there is, or that a matrix can make."""
        for line, ends in self.wiring.lines.items():
            if isinstance(ends, str):
                yield Wire(line=line, output=ends)
                continue
            for output, channel in ends.items():
                matrix, channel_id = self._channel(channel)
                yield Wire(line=line, output=output, matrix=matrix, channel=channel_id)

    def check_geometry(self, geometry: Geometry) -> None:
        """Raise :class:`ConfigError` unless the wires fit an array's rows and columns."""
        for kind, wanted in (("row", geometry.rows), ("col", geometry.cols)):
            found = self.wiring.count(kind)
            if found != wanted:
                raise ConfigError(
                    f"station {self.name} wires {found} {kind} lines; the array has {wanted}",
                    key="wiring.lines",
                )
        dummy_ohm = self.self_test.dummy_ohm
        if dummy_ohm is not None and (len(dummy_ohm), len(dummy_ohm[0])) != geometry.shape:
            raise ConfigError(
                f"{len(dummy_ohm)} × {len(dummy_ohm[0])} resistors; the array is"
                f" {geometry.rows} × {geometry.cols}",
                key="self_test.dummy_ohm",
            )

    def _channel(self, text: str) -> tuple[str, str]:
        matrix, colon, channel = text.partition(":")
        if colon and matrix in self.instruments:
            return matrix, channel
        drives = {instrument_of(output) for output in self.wiring.drive.named().values()}
        others = [name for name in self.instruments if name not in drives]
        if len(others) != 1:
            raise ValueError(
                f"wiring: channel {text!r} could be of {', '.join(others) or 'no instrument'}:"
                " write it as matrix:channel"
            )
        return others[0], text


def load_station(path: Path) -> Station:
    """Read and validate a station file; raises :class:`ConfigError` with file and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    try:
        return Station.parse(parse_yaml(text), folder=path.parent)
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None


def meeting_point(station_file: Path, *, private_to: int | None = None) -> Path:
    """Where a virtual bench that was started by itself says its addresses, for later runs.

    ``private_to``: the process of a bench that a run has started for itself, and which no other
    run is to use.
    """
    mark = hashlib.sha256(str(station_file.resolve()).encode()).hexdigest()[:16]
    owner = "" if private_to is None else f"-{private_to}"
    return Path(tempfile.gettempdir()) / f"{MEETING}{mark}{owner}.json"


def meeting_points() -> list[Path]:
    """Those of every virtual bench that runs here, or has ended without tidying up."""
    return sorted(Path(tempfile.gettempdir()).glob(f"{MEETING}*.json"))


def _count(lines: dict[str, str | dict[str, str]], kind: str) -> int:
    return sum(name.startswith(kind) and name[len(kind) :].isdigit() for name in lines)
