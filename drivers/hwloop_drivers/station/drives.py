"""The instruments of a station by the parts that they play in its biasing scheme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, InstrumentFault, Unsupported
from hwloop.station.station import Station
from hwloop_drivers.roles import Instrument, PulseGenerator, SourceMeter, SourceSetup, SwitchMatrix
from hwloop_drivers.station.configured import NotConnected

Source = SourceMeter | PulseGenerator

# What each drive carries while a cell sees v, as a fraction of v; see hwloop.array.biasing. Gates
# carry
# a voltage of their own.
SHARES: Mapping[str, Mapping[str, float]] = {
    "V/2": {"rows": 1 / 2, "columns": -1 / 2},
    "V/3": {"rows": 1 / 2, "columns": -1 / 2, "other_rows": -1 / 6, "other_columns": 1 / 6},
    "grounded": {"rows": 1.0, "columns": 0.0},
    "floating": {"rows": 1.0, "columns": 0.0},
    "1T1R": {"rows": 1.0, "columns": 0.0},
}
ROWS, COLUMNS, GATES = "rows", "columns", "gates"
STANDING_ORDER = ("other_rows", "other_columns", COLUMNS)
"""What stands around a pulse. The selected column comes last: until then no cell sees more than
the scheme gives it."""


@dataclass(frozen=True)
class Boxes:
    """Instruments by name, outputs by what they drive, and which of them measures."""

    instruments: Mapping[str, Instrument]
    drives: Mapping[str, Source]
    meter: SourceMeter
    meter_on_columns: bool

    @classmethod
    def of(cls, station: Station, instruments: Mapping[str, Instrument]) -> Boxes:
        """Raise :class:`ConfigError` where an output does not exist or nothing measures."""
        drives = {
            key: _output(instruments, name, key)
            for key, name in station.wiring.drive.named().items()
        }
        for name in station.matrices:
            if not isinstance(instruments[name], SwitchMatrix):
                raise ConfigError(f"{name} is no switch matrix", key=f"instruments.{name}")
        meter = drives.get(COLUMNS, drives[ROWS])
        if not isinstance(meter, SourceMeter):
            raise ConfigError(
                "nothing measures: a source meter must drive the columns, or the rows of a"
                " floating scheme",
                key="wiring.drive",
            )
        return cls(instruments, drives, meter, COLUMNS in drives)

    @property
    def rows(self) -> Source:
        """The output on the selected row: it makes the pulse."""
        return self.drives[ROWS]

    @property
    def matrices(self) -> dict[str, SwitchMatrix]:
        """The switch matrices by name."""
        return {n: b for n, b in self.instruments.items() if isinstance(b, SwitchMatrix)}

    def set_up(self, station: Station, array: ArraySettings) -> None:
        """Every output at 0 V with the range and compliance that the array's limits need."""
        for key, source in self.drives.items():
            _set_up(source, range_v=_range_v(station, array, key), array=array)

    def refuse_set_up(self, station: Station, array: ArraySettings) -> None:
        """Raise what :meth:`set_up` would refuse, and what a station's limits exceed; no traffic.

        Asked of instruments without a link: a driver refuses before it sends anything, so one
        that comes as far as sending has accepted.
        """
        if GATES in self.drives and (array.limits.gate_v is None or array.read.gate_v is None):
            raise ConfigError(
                "the gates need array.limits.gate_v, and array.read.gate_v for reads",
                key="wiring.drive.gates",
            )
        for key, source in self.drives.items():
            name = station.wiring.drive.named()[key]
            entry = station.instruments[name.partition(".")[0]]
            range_v = _range_v(station, array, key)
            place = f"instruments.{name.partition('.')[0]}"
            _refuse_above(range_v, entry.limit_v, "V", f"{place}.limit_v")
            if isinstance(source, SourceMeter):
                _refuse_above(array.limits.current_a, entry.limit_a, "A", f"{place}.limit_a")
            with _refusals_of("wiring.drive." + key):
                _set_up(source, range_v=range_v, array=array)
            _refuse_impossible_limits(source, entry.limit_v, entry.limit_a, place, array)

    def refuse_tripped(self, station: Station) -> None:
        """Raise :class:`InstrumentFault` if an output has gone off by itself.

        Off, it holds 0 V: pulses would reach no cell, and currents read as nothing.
        """
        for key, source in self.drives.items():
            if not source.source_enabled:
                name = station.wiring.drive.named()[key]
                raise InstrumentFault(
                    f"{name}: its output has gone off by itself (interlock, heat, overload?); the"
                    " operation that was under way is not believed"
                )

    @contextmanager
    def standing(self, levels_v: Mapping[str, float]) -> Iterator[None]:
        """These drives at their levels for a while, then at 0 V again in the reverse order.

        After an error they stay: what goes wrong here ends the operation, and the bench is made
        safe.
        """
        for key, level_v in levels_v.items():
            self.drives[key].source_voltage = level_v
        yield
        for key in reversed(list(levels_v)):
            self.drives[key].source_voltage = 0.0

    def refuse_level(self, key: str, level_v: float) -> None:
        """Raise :class:`Unsupported` if a drive cannot hold a level; no traffic."""
        source = self.drives[key]
        if isinstance(source, SourceMeter):
            source.refuse_level(level_v)


def _range_v(station: Station, array: ArraySettings, key: str) -> float:
    limits = array.limits
    if key == GATES:
        return limits.gate_v or 0.0
    largest_v = max(limits.positive_v, -limits.negative_v)
    return max(abs(SHARES[station.scheme][key]) * largest_v, limits.read_v)


def _set_up(source: Source, *, range_v: float, array: ArraySettings) -> None:
    if isinstance(source, SourceMeter):
        source.set_up(SourceSetup(range_v=range_v, compliance_a=array.limits.current_a))
    else:
        source.set_up(range_v=range_v)


def _refuse_above(wanted: float, bound: float | None, unit: str, key: str) -> None:
    if bound is not None and wanted > bound:
        raise ConfigError(
            f"the array's limits need {wanted:g} {unit} from it, more than the {bound:g} {unit}"
            " that it may put out here",
            key=key,
        )


def _refuse_impossible_limits(
    source: Source, limit_v: float | None, limit_a: float | None, place: str, array: ArraySettings
) -> None:
    """A limit above what the instrument can do is a mistake in the station, not a permission."""
    if limit_v is not None:
        with _refusals_of(f"{place}.limit_v"):
            _set_up(source, range_v=limit_v, array=array)
    if limit_a is not None and isinstance(source, SourceMeter):
        with _refusals_of(f"{place}.limit_a"):
            source.set_up(SourceSetup(range_v=1e-3, compliance_a=limit_a))


@contextmanager
def _refusals_of(key: str) -> Iterator[None]:
    try:
        yield
    except NotConnected:
        pass
    except Unsupported as exc:
        raise ConfigError(str(exc), key=key) from exc


def _output(instruments: Mapping[str, Instrument], name: str, key: str) -> Source:
    box, _, channel = name.partition(".")
    outputs = instruments[box].outputs()
    if channel not in outputs:
        known = ", ".join(f"{box}.{c}" if c else box for c in outputs) or "none"
        raise ConfigError(f"{name}: no such output; it has {known}", key=f"wiring.drive.{key}")
    return outputs[channel]
