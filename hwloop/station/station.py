"""The station file: the instruments of a bench, and how they are wired to the array.

Plain data, read alike by the bench that drives the instruments and by the virtual bench that
stands in for them. All that can be checked without opening an instrument is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, model_validator

from hwloop.array.biasing import Scheme
from hwloop.array.geometry import Geometry
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import (
    PositiveSecond,
)
from hwloop.settings.yaml import parse_yaml, read_text
from hwloop.station import checks as station_checks
from hwloop.station.parts import (
    GROUND,
    InstrumentEntry,
    SelfTestSettings,
    VirtualSettings,
    Wire,
    Wiring,
    WitnessEntry,
    instrument_of,
)


class Station(Settings):
    """One bench: its instruments, how they are wired, and how cells are biased with them.

    ``settle_s``: waited after relays have moved. ``wire_log``: whether everything that goes over
    the links is written into the record's log. ``witness``: watches during ``hwloop accept``.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    about: str = ""
    scheme: Scheme
    instruments: dict[str, InstrumentEntry] = Field(min_length=1)
    wiring: Wiring
    settle_s: PositiveSecond = 1e-3
    wire_log: bool = Field(default=False, strict=True)
    self_test: SelfTestSettings = SelfTestSettings()
    witness: WitnessEntry | None = None
    virtual: VirtualSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Station:
        station_checks.check(self)
        return self

    @property
    def is_virtual(self) -> bool:
        """Return whether all instruments are those of a virtual bench."""
        return all(entry.is_virtual for entry in self.instruments.values())

    @property
    def matrices(self) -> list[str]:
        """Return the instruments that channels name, in the order of the file."""
        named = {wire.matrix for wire in self.wires()}
        return [name for name in self.instruments if name in named]

    @property
    def outputs(self) -> list[str]:
        """Return every output that a line can be connected to, ground excepted."""
        found = dict.fromkeys(wire.output for wire in self.wires() if wire.output != GROUND)
        return list(found)

    def wires(self) -> Iterator[Wire]:
        """Yield every connection that there is, or that a matrix can make."""
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
    return parse_station(read_text(path), path)


def parse_station(text: str, path: Path) -> Station:
    """Validate the text of the station file at ``path``; raises as :func:`load_station`."""
    data = parse_yaml(text, file=str(path))
    try:
        return Station.parse(data, folder=path.parent)
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
