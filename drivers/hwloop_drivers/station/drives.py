"""The instruments of a station by the drives of its biasing scheme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from hwloop.array.biasing import SWITCHING_ORDER, DriveName, drive_fractions
from hwloop.array.blocks import DrivenLines
from hwloop.array.line_bounds import DriveCircuit
from hwloop.array.read_path import ReadPath
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, InstrumentFault, Unsupported
from hwloop.settings.units import format_quantity
from hwloop.station.parts import instrument_of
from hwloop.station.station import Station
from hwloop_drivers.roles import Instrument, PulseGenerator, SourceMeter, SourceSetup, SwitchMatrix
from hwloop_drivers.station.configured import NotConnected

Source = SourceMeter | PulseGenerator

ROWS, COLUMNS, GATES = "rows", "columns", "gates"
HELD_ORDER: tuple[DriveName, ...] = tuple(key for key in SWITCHING_ORDER if key != ROWS)
"""Order in which levels are set that are held around a pulse."""


@dataclass(frozen=True)
class BenchDrives:
    """Instruments by name, outputs by what they drive, and which of them measures."""

    instruments: Mapping[str, Instrument]
    sources: Mapping[str, Source]
    meter: SourceMeter
    meter_on_columns: bool

    @classmethod
    def of(cls, station: Station, instruments: Mapping[str, Instrument]) -> BenchDrives:
        """Return the drives of a station.

        Raises :class:`hwloop.errors.ConfigError` where an output does not exist, a matrix is none,
        or no output measures.
        """
        sources = {
            key: _output(instruments, name, key)
            for key, name in station.wiring.drive.named().items()
        }
        for name in station.matrices:
            if not isinstance(instruments[name], SwitchMatrix):
                raise ConfigError(f"{name} is no switch matrix", key=f"instruments.{name}")
        meter = sources.get(COLUMNS, sources[ROWS])
        if not isinstance(meter, SourceMeter):
            raise ConfigError(
                "nothing measures: a source meter must drive the columns, or the rows of a"
                " floating scheme",
                key="wiring.drive",
            )
        return cls(instruments, sources, meter, COLUMNS in sources)

    @property
    def rows(self) -> Source:
        """Get the output on the selected row, which makes the pulse."""
        return self.sources[ROWS]

    def meter_for(self, driven: DrivenLines) -> SourceMeter:
        """Return what measures the lines that are not driven.

        Raises :class:`hwloop.errors.Unsupported` where nothing drives the columns, or nothing
        measures at the rows.
        """
        if driven == "rows":
            return self.meter
        rows = self.rows
        if COLUMNS not in self.sources:
            raise Unsupported("vectors on the columns: no output drives the columns here")
        if not isinstance(rows, SourceMeter):
            raise Unsupported(
                "vectors on the columns, as a training of two layers needs them: nothing measures"
                " at the rows here, which a pulse generator drives (wiring.drive.rows)"
            )
        return rows

    @property
    def matrices(self) -> dict[str, SwitchMatrix]:
        """Get the switch matrices by name."""
        return {n: i for n, i in self.instruments.items() if isinstance(i, SwitchMatrix)}

    def series_ohm(self, station: Station) -> dict[str, float]:
        """Return the resistance in the lead of each output, with that of the output itself."""
        named = station.wiring.drive.named()
        return {
            named[key]: station.wiring.series_ohm.get(named[key], 0.0)
            + (source.output_ohm if isinstance(source, PulseGenerator) else 0.0)
            for key, source in self.sources.items()
        }

    def circuits(self, station: Station, array: ArraySettings) -> dict[DriveName, DriveCircuit]:
        """Return the resistance and the current limit of every output on rows and columns."""
        series_ohm, named = self.series_ohm(station), station.wiring.drive.named()
        limits_a = {
            key: array.limits.current_a if isinstance(source, SourceMeter) else math.inf
            for key, source in self.sources.items()
        }
        return {
            key: DriveCircuit(series_ohm[named[key]], limits_a[key])
            for key in SWITCHING_ORDER
            if key in self.sources
        }

    def without_limit(self, station: Station, array: ArraySettings) -> list[str]:
        """Return a line about each output on rows or columns that limits no current."""
        limits, named = array.limits, station.wiring.drive.named()
        most_v = max(limits.positive_v, -limits.negative_v)
        fractions = drive_fractions(station.scheme)
        return [
            f"{named[key]} on the {key} limits no current, whatever limits.current_a"
            f" {format_quantity(limits.current_a, 'A')} says: a shorted cell takes"
            f" {_through(abs(fractions[key]) * most_v, circuit.series_ohm)}"
            for key, circuit in self.circuits(station, array).items()
            if math.isinf(circuit.compliance_a)
        ]

    def read_path(self, station: Station, shape: tuple[int, int]) -> ReadPath | None:
        """Return the known resistors that a read current passes; None without any.

        Where the outputs of other lines have resistors too, those lines are not quite at 0 V.
        """
        named, series_ohm = station.wiring.drive.named(), self.series_ohm(station)
        by_drive = {key: series_ohm[output] for key, output in named.items() if key != GATES}
        if not any(by_drive.values()):
            return None
        rows_ohm, cols_ohm = by_drive.pop(ROWS), by_drive.pop(COLUMNS, 0.0)
        exact = not any(by_drive.values())
        return ReadPath(station.scheme, shape, rows_ohm, cols_ohm, exact=exact)

    def set_up(self, station: Station, array: ArraySettings) -> None:
        """Set every output to 0 V, with the range and compliance that the array's limits need."""
        for key, source in self.sources.items():
            _set_up(source, range_v=_range_v(station, array, key), array=array)

    def refuse_set_up(self, station: Station, array: ArraySettings) -> None:
        """Raise what :meth:`set_up` would refuse, and what a station's limits exceed; no traffic.

        Asked of instruments without a link: a driver refuses before it sends anything, so one
        that comes as far as sending has accepted.
        """
        if GATES in self.sources and (array.limits.gate_v is None or array.read.gate_v is None):
            raise ConfigError(
                "the gates need array.limits.gate_v, and array.read.gate_v for reads",
                key="wiring.drive.gates",
            )
        for key, source in self.sources.items():
            name = instrument_of(station.wiring.drive.named()[key])
            entry, place = station.instruments[name], f"instruments.{name}"
            range_v = _range_v(station, array, key)
            _refuse_above(range_v, entry.limit_v, "V", f"{place}.limit_v")
            if isinstance(source, SourceMeter):
                _refuse_above(array.limits.current_a, entry.limit_a, "A", f"{place}.limit_a")
            with _refusals_of("wiring.drive." + key):
                _set_up(source, range_v=range_v, array=array)
            _refuse_impossible_limits(source, entry.limit_v, entry.limit_a, place, array)

    def refuse_tripped(self, station: Station) -> None:
        """Raise :class:`hwloop.errors.InstrumentFault` if an output has gone off by itself.

        Off, it holds 0 V: pulses would reach no cell, and currents read as nothing.
        """
        for key, source in self.sources.items():
            if not source.source_enabled:
                name = station.wiring.drive.named()[key]
                raise InstrumentFault(
                    f"{name}: its output has gone off by itself (interlock, heat, overload?); the"
                    " operation that was under way is not believed"
                )

    @contextmanager
    def held(self, levels_v: Mapping[str, float]) -> Iterator[None]:
        """Hold drives at their levels, in order, then return them to 0 V in the reverse order.

        After an error the levels stay: it ends the operation, and the bench is made safe.
        """
        for key, level_v in levels_v.items():
            self.sources[key].source_voltage = level_v
        yield
        for key in reversed(list(levels_v)):
            self.sources[key].source_voltage = 0.0

    def refuse_level(self, key: str, level_v: float) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if a drive cannot hold a level; no traffic."""
        source = self.sources[key]
        if isinstance(source, SourceMeter):
            source.refuse_level(level_v)


def _range_v(station: Station, array: ArraySettings, key: str) -> float:
    """Return the largest magnitude that a drive has to supply within the array's limits."""
    limits = array.limits
    if key == GATES:
        return limits.gate_v or 0.0
    largest_v = max(limits.positive_v, -limits.negative_v)
    return max(abs(drive_fractions(station.scheme)[key]) * largest_v, limits.read_v)


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
    """Refuse a limit above the instrument's own: it is a mistake in the station file."""
    if limit_v is not None:
        with _refusals_of(f"{place}.limit_v"):
            _set_up(source, range_v=limit_v, array=array)
    if limit_a is not None and isinstance(source, SourceMeter):
        with _refusals_of(f"{place}.limit_a"):
            source.set_up(SourceSetup(range_v=1e-3, compliance_a=limit_a))


@contextmanager
def _refusals_of(key: str) -> Iterator[None]:
    """Turn an instrument's refusal into an error at a key of the station file."""
    try:
        yield
    except NotConnected:
        pass
    except Unsupported as exc:
        raise ConfigError(str(exc), key=key) from exc


def _output(instruments: Mapping[str, Instrument], name: str, key: str) -> Source:
    instrument, _, channel = name.partition(".")
    outputs = instruments[instrument].outputs()
    if channel not in outputs:
        known = ", ".join(f"{instrument}.{c}" if c else instrument for c in outputs) or "none"
        raise ConfigError(f"{name}: no such output; it has {known}", key=f"wiring.drive.{key}")
    return outputs[channel]


def _through(level_v: float, series_ohm: float) -> str:
    if not series_ohm:
        return f"whatever the output gives at {format_quantity(level_v, 'V')}"
    most_a = format_quantity(level_v / series_ohm, "A")
    ohm, volts = format_quantity(series_ohm, "ohm"), format_quantity(level_v, "V")
    return f"up to {most_a} through {ohm} at {volts}"
