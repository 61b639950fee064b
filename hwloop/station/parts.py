"""The parts of a station file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field, field_validator

from hwloop.array.biasing import Scheme
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import (
    Farad,
    Fraction,
    Ohm,
    PositiveAmpere,
    PositiveOhm,
    PositiveSiemens,
    PositiveVolt,
    Second,
)

VIRTUAL = "virtual:"
_MODEL = BeforeValidator(lambda value: str(value) if type(value) is int else value)  # 2602 in YAML


LineEnd = Literal["LF", "CR", "CR LF", "LF CR"]


class InstrumentEntry(Settings):
    """One instrument of a station.

    ``kind``: a driver's name. ``address``: a VISA resource, a serial port, or ``virtual:socket``,
    ``virtual:hislip``, ``virtual:serial`` for an instrument of the virtual bench. ``limit_v``,
    ``limit_a``: the largest voltage and current that it may supply here. ``settings``: the driver's
    own. ``accept_model``: a model that is near the driver's own, and is accepted as well: 2636A in
    the place of a 2636B.
    """

    kind: str
    address: str = Field(min_length=1)
    limit_v: PositiveVolt | None = None
    limit_a: PositiveAmpere | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    accept_model: Annotated[str, _MODEL] | None = Field(default=None, min_length=1)

    @property
    def is_virtual(self) -> bool:
        """Return whether a virtual bench answers at its address."""
        return self.address.startswith(VIRTUAL)


class Drives(Settings):
    """The drives by output: ``rows`` drives the selected row, ``columns`` the selected column.

    An output is named by its instrument, or instrument.channel: ``smu.a``. The one on the columns
    is also the meter, where there is one. ``other_columns``: for V/3, whose ``other_rows`` are on
    ground unless an output is given. ``gates``: the gate of the selected row of a 1T1R array.
    """

    rows: str
    columns: str | None = None
    other_rows: str | None = None
    other_columns: str | None = None
    gates: str | None = None

    def named(self) -> dict[str, str]:
        """Return the output of every drive that the station has."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class Wire(Settings):
    """A connection of a line to an output or ground: a matrix channel, or fixed (None)."""

    line: str
    output: str
    matrix: str | None = None
    channel: str | None = None


class Wiring(Settings):
    """Wiring from the instruments to the lines of the array.

    ``drive``: see :class:`Drives`. ``lines``: for ``row0``, ``col0``, ``gate0``, … either the
    output (or ``gnd``) that it is soldered to, or the matrix channel to each output and to
    ``gnd``. With several matrices a channel is written ``matrix:channel``. ``series_ohm``: the
    resistor in the lead of an output. ``cable_f``: the largest capacitance behind an output, of its
    cable, the matrix and the lines on it; reads wait until it is charged.
    """

    drive: Drives
    lines: dict[str, str | dict[str, str]] = Field(min_length=2)
    series_ohm: dict[str, Ohm] = Field(default_factory=dict)
    cable_f: Annotated[Farad, Field(ge=0)] = 0.0

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
        """Return the number of lines of a kind: "row", "col" or "gate"."""
        return _count(self.lines, kind)


class StationView(Protocol):
    """The part of a station that the checks look at."""

    @property
    def instruments(self) -> dict[str, InstrumentEntry]:
        """Return the instruments by name."""

    @property
    def wiring(self) -> Wiring:
        """Return the lines and drives of the station."""

    @property
    def scheme(self) -> Scheme:
        """Return the scheme by which cells are biased."""

    @property
    def witness(self) -> WitnessEntry | None:
        """Return the oscilloscope of the acceptance test, if any."""

    @property
    def virtual(self) -> VirtualSettings | None:
        """Return the settings of the virtual bench, if any."""

    @property
    def outputs(self) -> list[str]:
        """Return every output that a line can be connected to."""

    def wires(self) -> Iterator[Wire]:
        """Yield every connection that there is, or that a matrix can make."""


class VirtualSettings(Settings):
    """Settings of the virtual bench at the station's virtual addresses.

    ``procedure``: its array and its ``backends.sim`` are emulated when the bench is started by
    itself; a run that starts its own bench emulates the array of its own procedure. ``noise``:
    whether the instruments are as noisy as the real ones; the cells are as noisy as the effects of
    ``backends.sim`` make them, either way. ``real_time``: whether delays last as long as on real
    instruments. ``latency_s``: added to every message. ``earlier_messages``: by instrument, what an
    earlier client has sent to it and left it with. ``line_ends``: by instrument, the end of its
    lines where it is not LF.
    """

    procedure: Path | None = None
    noise: bool = True
    real_time: bool = False
    latency_s: Annotated[Second, Field(ge=0, le=10)] = 0.0
    earlier_messages: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    line_ends: dict[str, LineEnd] = Field(default_factory=dict)


class WitnessEntry(Settings):
    """The oscilloscope that watches lines during ``hwloop accept``; no run speaks to it.

    ``kind``, ``address``, ``settings``: as of an instrument. ``probes``: the line that the tip of
    each channel's probe is on; their grounds are at the star point. ``accuracy``: of its readings,
    as a fraction of full scale.
    """

    kind: str = "keysight_infiniivision"
    address: str = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    probes: dict[Annotated[int, Field(ge=1, le=8)], str] = Field(
        default_factory=lambda: {1: "row0", 2: "col0"}, min_length=1
    )
    accuracy: Fraction = 0.02

    @property
    def is_virtual(self) -> bool:
        """Return whether a virtual bench answers at its address."""
        return self.address.startswith(VIRTUAL)


class SelfTestSettings(Settings):
    """Settings of the connectivity check of ``hwloop check --touch``.

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


def _count(lines: dict[str, str | dict[str, str]], kind: str) -> int:
    return sum(name.startswith(kind) and name[len(kind) :].isdigit() for name in lines)


GROUND = "gnd"


def instrument_of(output: str) -> str:
    """Return the instrument of an output, such as ``smu`` of ``smu.a``."""
    return output.partition(".")[0]
