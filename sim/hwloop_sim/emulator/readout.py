"""The periphery of an array in a multiplication: row drivers, tiles, and column converters.

An array larger than a tile is cut into tiles of ``rows`` × ``cols``, each with a converter of its
own; the last ones are smaller where the size does not divide. Each tile's column currents are
converted, and the partial sums of a column are added as numbers. If one of them could not be
measured, the sum is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hwloop.array.converter_range import Levels
from hwloop.array.operations import Flag, Reading
from hwloop.backend.base import Event
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, format_quantity
from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_sim.cells.device import LARGE
from hwloop_sim.emulator.converters import Adc, Dac, memtorch_levels_a


class Tiles(Settings):
    """The size of a tile; left out, that of the array."""

    rows: Count | None = None
    cols: Count | None = None

    def row_slices(self, rows: int) -> list[slice]:
        """Return the rows of each row of tiles."""
        return _slices(rows, self.rows or rows)

    def col_slices(self, cols: int) -> list[slice]:
        """Return the columns of each column of tiles."""
        return _slices(cols, self.cols or cols)


class ConverterSettings(Settings):
    """Settings of the converters of a multiplication; a part left out converts nothing."""

    dac: Dac | None = None
    adc: Adc | None = None
    tiles: Tiles = Tiles()


@dataclass
class _Converter:
    """The ADCs of every tile, with the errors of each: (tiles, ..., cols)."""

    adc: Adc
    gain: FloatArray
    offset_a: FloatArray
    levels: Levels | None = field(default=None)


class Readout:
    """The drivers and converters of an emulated population, (..., rows, cols)."""

    def __init__(
        self, settings: ConverterSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        *population, rows, cols = shape
        self._dac, self.adc = settings.dac, settings.adc
        self._levels: dict[tuple[int, ...], Levels] = {}
        self.row_slices = settings.tiles.row_slices(rows)
        self.col_slices = settings.tiles.col_slices(cols)
        drawing, self._dac_rng, self._adc_rng = rng.spawn(3)
        self._converter: _Converter | None = None
        if settings.adc is not None:
            tiles = (len(self.row_slices), *population, len(self.col_slices))
            of_col = np.repeat(np.arange(tiles[-1]), [_length(part) for part in self.col_slices])
            gain = settings.adc.draw_gain(tiles, drawing)[..., of_col]
            offset_a = settings.adc.draw_offset_a(tiles, drawing)[..., of_col]
            self._converter = _Converter(settings.adc, gain, offset_a)
        self._events: list[Event] = []

    def check(self, voltage_v: FloatArray) -> None:
        """Raise :class:`hwloop.errors.Unsupported` for a voltage beyond the range of the DAC."""
        if self._dac is not None:
            self._dac.check(voltage_v)

    @property
    def drives_alike(self) -> bool:
        """Return whether the drivers give one voltage always one level, and 0 V for 0 V."""
        dac = self._dac
        return dac is None or (
            not dac.noise_v and dac.low_v <= 0 <= dac.high_v and self._driven_v(0.0) == 0
        )

    def levels_of(
        self, pieces: list[tuple[int, ...]], current_a: Iterable[FloatArray], *, anew: bool
    ) -> list[Levels]:
        """Return the levels of the converters of each piece, its own range for each.

        ``current_a``: of each piece, amperes; the range of a piece is calibrated on the first of
        them that are seen, and ``anew`` where that is asked for. Raises
        :class:`hwloop.errors.Unsupported` where every current is 0 A.
        """
        if self.adc is None:
            return []
        if anew or any(piece not in self._levels for piece in pieces):
            levels = self.adc.range_of_each(list(current_a))
            self._levels.update(zip(pieces, levels, strict=True))
            self._note_ranges(pieces, levels)
        return [self._levels[piece] for piece in pieces]

    def known_levels(self, pieces: list[tuple[int, ...]]) -> list[Levels] | None:
        """Return the levels of the converters of each piece; None where one is not calibrated."""
        levels = [self._levels.get(piece) for piece in pieces]
        return None if None in levels else [one for one in levels if one is not None]

    def errors_of(
        self, pieces: list[tuple[int, int, slice]], *, tiled: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return gain and offset of the converters of pieces, (..., conversions), side by side.

        A piece: row of tiles, tile of the array (``tiled``: it has an axis of them), columns.
        """
        if self._converter is None:
            raise ValueError("there are no converters")
        found = []
        for values in (self._converter.gain, self._converter.offset_a):
            own = values if tiled else values[..., None, :]
            parts = [own[row_tile][..., tile, cols] for row_tile, tile, cols in pieces]
            found.append(np.concatenate(parts, axis=-1))
        return found[0], found[1]

    def _driven_v(self, voltage_v: float) -> float:
        return float(self.drive(np.full((1, 1), voltage_v))[0, 0])

    def drive(self, voltage_v: FloatArray) -> FloatArray:
        """Return the voltages of the rows for vectors (..., batch, rows), volts."""
        if self._dac is None:
            return voltage_v
        return self._dac.convert(voltage_v, self._dac_rng)

    def read(self, partial_a: list[FloatArray], *, compliance_a: float) -> Reading:
        """Return column currents, (..., batch, cols), from those of each row of tiles.

        ``partial_a``: amperes, overwritten in place.
        """
        if self._converter is None:
            parts = [metered(part_a, compliance_a) for part_a in partial_a]
        else:
            parts = self._converted(partial_a, self._converter, compliance_a)
        total, *others = parts
        for other in others:
            total = Reading(total.current_a + other.current_a, total.flags | other.flags)
        return total

    def take_events(self) -> list[Event]:
        """Return and clear pending log events: the range that an ADC was calibrated to."""
        events, self._events = self._events, []
        return events

    def _converted(
        self, partial_a: list[FloatArray], converter: _Converter, compliance_a: float
    ) -> list[Reading]:
        from hwloop_sim.compiled import kernels

        if converter.adc.each_vector:
            return [
                self._each_vector(part_a, converter, index, compliance_a)
                for index, part_a in enumerate(partial_a)
            ]
        if converter.levels is None:
            data_a = np.stack(partial_a)
            data_a[np.abs(data_a) > compliance_a] = np.nan
            converter.levels = converter.adc.levels(data_a)
            self._note_range(converter.levels)
        levels, readings = converter.levels, []
        for index, part_a in enumerate(partial_a):
            if converter.adc.noise_a:
                part_a += self._adc_rng.normal(0, converter.adc.noise_a, part_a.shape)
            flags = kernels.read_out(
                part_a,
                converter.gain[index],
                converter.offset_a[index],
                low=levels.low,
                high=levels.high,
                top=levels.top,
                bound=compliance_a,
                at_bound=Flag.COMPLIANCE,
                beyond=Flag.OVER_RANGE,
            )
            readings.append(Reading(part_a, flags))
        return readings

    def _each_vector(
        self, part_a: FloatArray, converter: _Converter, index: int, compliance_a: float
    ) -> Reading:
        """Return the levels of a row of tiles with a range for each vector and tile."""
        adc = converter.adc
        own_a = (
            part_a * converter.gain[index][..., None, :]
            + converter.offset_a[index][..., None, :]
            + (self._adc_rng.normal(0, adc.noise_a, part_a.shape) if adc.noise_a else 0.0)
        )
        beyond = np.abs(own_a) > compliance_a
        levels_a = [memtorch_levels_a(own_a[..., cols], adc.bits) for cols in self.col_slices]
        current_a = np.where(beyond, np.nan, np.concatenate(levels_a, axis=-1))
        return Reading(current_a, beyond * np.uint8(Flag.COMPLIANCE))

    def _note_ranges(self, pieces: list[tuple[int, ...]], levels: list[Levels]) -> None:
        ends = sorted(max(-one.low, one.high) for one in levels)
        tiles = sorted({piece[0] for piece in pieces})
        reach = " to ".join(format_quantity(end, "A") for end in dict.fromkeys((ends[0], ends[-1])))
        of_tiles = f"{tiles[0]} to {tiles[-1]}" if len(tiles) > 1 else str(tiles[0])
        self._events.append(
            Event(
                "info",
                f"ADC: {levels[0].bits} bits, {len(pieces)} ranges on tiles {of_tiles},"
                f" up to {reach}",
            )
        )

    def _note_range(self, levels: Levels) -> None:
        low, high, step = (
            format_quantity(value, "A") for value in (levels.low, levels.high, levels.step)
        )
        self._events.append(
            Event("info", f"ADC: {levels.bits} bits from {low} to {high}, a step of {step}")
        )


def metered(
    current_a: FloatArray,
    compliance_a: float,
    addressed: BoolArray | None = None,
    *,
    loaded: bool = False,
) -> Reading:
    """Return the reading of a meter at the array's compliance: NaN and a flag beyond it.

    ``current_a`` is overwritten in place. ``addressed``: mask of the cells that are read, which
    broadcasts to it, the others are NaN and flagged; None: every one is read. ``loaded``: whether
    the compiled loops are loaded in any case.
    """
    if loaded or current_a.size >= LARGE:
        from hwloop_sim.compiled import kernels

        compiled = kernels.meter(
            current_a,
            bound_a=compliance_a,
            flag=Flag.COMPLIANCE,
            addressed=addressed,
            not_addressed=Flag.NOT_ADDRESSED,
        )
        return Reading(current_a, compiled)
    beyond = np.abs(current_a) > compliance_a
    flags: FlagArray = beyond * np.uint8(Flag.COMPLIANCE)
    measured = ~beyond
    if addressed is not None:
        measured &= addressed
        flags *= addressed
        flags += ~addressed * np.uint8(Flag.NOT_ADDRESSED)
    return Reading(np.where(measured, current_a, np.nan), flags)


def _slices(length: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, length)) for begin in range(0, length, size)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)
