"""The lines of an array between its terminals and its cells, tile by tile.

Without wires a cell has the voltage that drives its lines. With them, or where lines float, the
circuit of its tile is solved: in a read or a multiplication all columns, and the rows without a
voltage, are at 0 V, or float; in a pulse the lines are driven as the array's biasing scheme says.
The voltages of one pulse map are those of the state in which it begins, or, where lines float, each
pulse; :mod:`hwloop_sim.emulator.wired_pulses` follows them during a pulse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwloop.array.biasing import Scheme, floats, line_fractions, stress
from hwloop.array.operations import PulseMap
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.circuit import Crossbar, Wires, solve, solve_cells
from hwloop_sim.circuit.passive import solve_between
from hwloop_sim.circuit.terminals import terminals
from hwloop_sim.emulator.floating import FloatingReads
from hwloop_sim.emulator.pulse_limits import PulseLimits
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.row_drivers import RowDrivers
from hwloop_sim.emulator.tile import Tile, TileLaw
from hwloop_sim.emulator.wire_settings import WiredPulses

_AT_A_TIME = 2_000_000
"""Cells times selected cells that are solved at a time: about 100 MB."""


@dataclass(frozen=True)
class Selection:
    """One cell of a tile that is selected alone; its row and column within the tile."""

    tile: Tile
    row: int
    col: int


@dataclass(frozen=True)
class _LineVoltages:
    """Voltages of a tile's lines, (..., n, lines), while each of n cells is selected.

    ``on``: (rows, 1), 0 where transistors keep the cells of a row off; None where there are none.
    """

    row_v: FloatArray
    col_v: FloatArray
    on: FloatArray | None


def _line_gate_v(pulse: PulseMap, tile: Tile, row: int, col: int) -> float | FloatArray | None:
    """Return the gate voltage of a tile's row while one of its cells is selected.

    The transistors of the other rows are off; their cells have no voltage.
    """
    if not isinstance(pulse.gate_v, np.ndarray):
        return pulse.gate_v
    return pulse.gate_v[tile.place][..., row, col][..., None, None]


class ArrayLines:
    """The tiles of an array of ``shape`` (rows, cols), and the wires in each; None: ideal ones.

    ``pulses``: what the wires do to them; see :class:`WireSettings`.
    """

    def __init__(
        self,
        wires: Wires | None,
        tiles: Tiles,
        scheme: Scheme,
        shape: tuple[int, int],
        *,
        pulses: WiredPulses = "integrated",
    ) -> None:
        self._wires = wires
        self._pulse_wires = None if pulses == "ideal" else wires
        self.integrated_pulses = self._pulse_wires is not None and pulses == "integrated"
        self._scheme: Scheme = scheme
        self.row_slices = tiles.row_slices(shape[0])
        self._tiles = [
            Tile(rows, cols) for rows in self.row_slices for cols in tiles.col_slices(shape[1])
        ]
        self._floating = FloatingReads(wires or Wires(), self._tiles) if floats(scheme) else None
        self._drivers = RowDrivers(wires, self._tiles, scheme)
        self._known_conductance_s: FloatArray | None = None
        self._crossbars: dict[tuple[int, int], Crossbar] = {}

    @property
    def one_by_one(self) -> bool:
        """Return whether only one cell can be driven at a time, since all other lines float."""
        return self._floating is not None

    def multiply(self, cells: ConductingCells, row_v: FloatArray, rows: slice) -> FloatArray:
        """Return column currents of a row of tiles, (..., batch, cols), amperes.

        ``row_v``: volts on its rows, (..., batch, rows).
        """
        if self._floating is not None:
            return self._floating.multiply(cells, row_v, rows)
        conductance_s = cells.conductance_s
        if not cells.linear:
            vectors = range(row_v.shape[-2])
            return np.stack(
                [self._nonlinear_a(cells, row_v[..., k, :], rows) for k in vectors], axis=-2
            )
        if self._wires is None:
            product_a: FloatArray = row_v @ conductance_s[..., rows, :]
            return product_a
        return np.concatenate(
            [
                self._crossbar(conductance_s, tile).multiply(row_v)
                for tile in self._tiles
                if tile.rows == rows
            ],
            axis=-1,
        )

    def transfer_conductance_s(self, cells: ConductingCells) -> FloatArray:
        """Return the current of each column per volt on each row of its tile, siemens.

        (..., rows, cols): of linear cells, all lines held; NaN where a line has no terminal.
        """
        conductance_s = cells.conductance_s
        if self._wires is None:
            return conductance_s
        out = np.empty(conductance_s.shape)
        for tile in self._tiles:
            out[tile.place] = self._crossbar(conductance_s, tile).transfer_conductance_s()
        return out

    def rows_within(self, cells: ConductingCells, highest_v: float, *, bound_a: float) -> bool:
        """Return whether no row can reach its compliance at voltages up to ``highest_v``."""
        return self._drivers.within(cells, highest_v, bound_a=bound_a)

    def read(self, cells: ConductingCells, addressed: BoolArray, read_v: float) -> FloatArray:
        """Return the current of each cell read alone, (..., rows, cols), amperes.

        NaN in rows of which no cell is read.
        """
        if self._floating is not None:
            return self._floating.read(cells, addressed, read_v)
        if self._wires is None:
            return cells.current_a(np.full(cells.conductance_s.shape, read_v))
        current_a = np.full(cells.conductance_s.shape, np.nan)
        for rows in self.row_slices:
            lines = addressed[..., rows, :].any(axis=-1)
            read = np.flatnonzero(lines.reshape(-1, lines.shape[-1]).any(axis=0))
            if self._scheme == "1T1R":
                for row in read:
                    current_a[..., rows, :][..., row, :] = self._gated(
                        cells, rows, int(row), read_v
                    )
            elif read.size:
                one_v = read_v * np.eye(lines.shape[-1])[read]
                current_a[..., rows, :][..., read, :] = self.multiply(cells, one_v, rows)
        return current_a

    def limited(self, cells: ConductingCells, read_v: float, *, bound_a: float) -> BoolArray | None:
        """Return the cells whose row is at its compliance while they are read, or None."""
        return self._drivers.limited(cells, read_v, bound_a=bound_a)

    def pulse_limits(self, *, bound_a: float) -> PulseLimits:
        """Return the limits of the outputs that drive pulses; ``bound_a``: of each, amperes."""
        return PulseLimits(self._tiles, self._scheme, bound_a=bound_a)

    def limited_products(
        self, cells: ConductingCells, row_v: FloatArray, rows: slice, *, bound_a: float
    ) -> BoolArray | None:
        """Return the currents of a product, (..., batch, cols), that a compliance spoils, or None.

        Of a row while lines are held; of the reads that are summed where they float.
        """
        one = self._drivers if self._floating is None else self._floating
        return one.limited_products(cells, row_v, rows, bound_a=bound_a)

    def selected(self, cells: ConductingCells, pulse: PulseMap) -> PulseMap:
        """Return the pulse map with the voltages that reach each selected cell."""
        if self._pulse_wires is None:
            return pulse
        shape = cells.conductance_s.shape
        reached_v = np.zeros(np.broadcast_shapes(pulse.amplitude_v.shape, shape))
        for tile, row, col, cell_v in self._solved(cells, pulse):
            part = np.arange(len(row))
            reached_v[tile.place][..., row, col] = cell_v[..., part, row, col]
        return replace(pulse, amplitude_v=reached_v)

    def selections(self, pulse: PulseMap) -> Iterator[Selection]:
        """Yield the cells of a map in the order in which they are selected, tile by tile.

        Row by row, or where lines float column by column, as a bench addresses cells.
        """
        for tile in self._tiles:
            own_v = pulse.amplitude_v[tile.place]
            selected = (own_v != 0).reshape(-1, *own_v.shape[-2:]).any(axis=0)
            if self._floating is None:
                places = np.argwhere(selected)
            else:
                places = np.argwhere(selected.T)[:, ::-1]
            for row, col in places:
                yield Selection(tile, int(row), int(col))

    def selected_alone(
        self, cells: ConductingCells, pulse: PulseMap, selection: Selection
    ) -> PulseMap:
        """Return the voltages at all cells, in their state now, while one of a map is selected."""
        tile, row, col = selection.tile, selection.row, selection.col
        every_v = self.following(cells, pulse, selection)()
        return replace(pulse, amplitude_v=every_v, gate_v=_line_gate_v(pulse, tile, row, col))

    def following(
        self, cells: ConductingCells, pulse: PulseMap, selection: Selection
    ) -> Callable[[], FloatArray]:
        """Return a function that gives the voltages at all cells in their state at its call.

        While one cell of a map is selected, (..., rows, cols); 0 V in other tiles.
        """
        tile = selection.tile
        lines_v = self._line_v(pulse, tile, np.array([selection.row]), np.array([selection.col]))
        shape = np.broadcast_shapes(pulse.amplitude_v.shape, cells.conductance_s.shape)
        points = terminals(cells.conductance_s[tile.place].shape, lines_v.row_v, lines_v.col_v)
        simple = cells.linear and lines_v.on is None and self._floating is None
        wires = self._pulse_wires or Wires()

        def every_v() -> FloatArray:
            if simple:
                own_s = np.ascontiguousarray(cells.conductance_s[tile.place])
                own_v = solve_between(own_s, points, wires).cell_v[..., 0, :, :]
            else:
                own_v = self._driven_v(cells, tile, lines_v)[..., 0, :, :]
            if own_v.shape == shape:
                return own_v
            padded_v = np.zeros(shape)
            padded_v[tile.place] = own_v
            return padded_v

        return every_v

    def stresses(self, cells: ConductingCells, pulse: PulseMap) -> Iterator[PulseMap]:
        """Yield the voltages at all cells while those of a map are selected one after the other.

        Without wires, cells with equal voltages come together: first the selected ones, then the
        half-selected ones, as often as they are stressed.
        """
        if self._floating is not None:
            yield from self._floating_stresses(cells, pulse)
            return
        if self._pulse_wires is None:
            highest_v = pulse.largest_v
            if highest_v * stress(self._scheme).worst <= cells.still_v:
                yield pulse  # none of the others can change
            else:
                yield from self.ideal_stresses(pulse)
            return
        shape = np.broadcast_shapes(pulse.amplitude_v.shape, cells.conductance_s.shape)
        for tile, row, col, cell_v in self._solved(cells, pulse):
            for index in range(len(row)):
                every_v = np.zeros(shape)
                every_v[tile.place] = cell_v[..., index, :, :]
                gate_v = _line_gate_v(pulse, tile, int(row[index]), int(col[index]))
                yield replace(pulse, amplitude_v=every_v, gate_v=gate_v)

    def ideal_stresses(self, pulse: PulseMap) -> Iterator[PulseMap]:
        """Yield the same for lines without resistance of which none floats, for any cells."""
        yield pulse
        for tile in self._tiles:
            yield from self._half_selected(tile, pulse)

    def _floating_stresses(self, cells: ConductingCells, pulse: PulseMap) -> Iterator[PulseMap]:
        """Yield every single pulse, each with the voltages of the state that the last has left.

        Column by column, as a bench addresses cells: where lines float, a cell that has moved
        changes what all others see.
        """
        for selection in self.selections(pulse):
            for _ in range(pulse.count):
                yield replace(self.selected_alone(cells, pulse, selection), count=1)

    def _half_selected(self, tile: Tile, pulse: PulseMap) -> Iterator[PulseMap]:
        fractions = stress(self._scheme)
        own_v = pulse.amplitude_v[tile.place]
        for amplitude_v in np.unique(own_v[own_v != 0]):
            chosen = (own_v == amplitude_v).astype(np.int64)
            in_row = chosen.sum(axis=-1, keepdims=True) - chosen
            in_col = chosen.sum(axis=-2, keepdims=True) - chosen
            elsewhere = chosen.sum(axis=(-2, -1), keepdims=True) - chosen - in_row - in_col
            times: dict[float, NDArray[np.int64]] = {}
            for fraction, count in (
                (fractions.same_row, in_row),
                (fractions.same_col, in_col),
                (fractions.elsewhere, elsewhere),
            ):
                if fraction:
                    times[fraction] = times.get(fraction, 0) + count
            for fraction, counts in times.items():
                for count in np.unique(counts[counts > 0]):
                    every_v = np.zeros(pulse.amplitude_v.shape)
                    every_v[tile.place] = np.where(counts == count, fraction * amplitude_v, 0.0)
                    yield replace(pulse, amplitude_v=every_v, count=pulse.count * int(count))

    def _solved(
        self, cells: ConductingCells, pulse: PulseMap
    ) -> Iterator[tuple[Tile, NDArray[np.intp], NDArray[np.intp], FloatArray]]:
        """Yield tile, rows and columns (n,) of selected cells, all voltages, (..., n, rows, cols).

        Linear cells are solved with the conductances that they have at the first group, nonlinear
        ones with those that they have when their group is solved.
        """
        begin_conductance_s = cells.conductance_s
        for tile in self._tiles:
            own_v = pulse.amplitude_v[tile.place]
            shape = own_v.shape[-2:]
            selected = (own_v != 0).reshape(-1, *shape).any(axis=0)
            for row, col in self._groups(selected, begin_conductance_s[tile.place].size):
                yield (
                    tile,
                    row,
                    col,
                    self._cell_v(cells, pulse, tile, row, col, begin_conductance_s),
                )

    def _cell_v(
        self,
        cells: ConductingCells,
        pulse: PulseMap,
        tile: Tile,
        row: NDArray[np.intp],
        col: NDArray[np.intp],
        linear_conductance_s: FloatArray | None = None,
    ) -> FloatArray:
        """Return the voltages of a tile's cells while each of n is selected, (..., n, rows, cols).

        ``linear_conductance_s``: of linear cells, if not those that they have now.
        """
        return self._driven_v(
            cells, tile, self._line_v(pulse, tile, row, col), linear_conductance_s
        )

    def _line_v(
        self, pulse: PulseMap, tile: Tile, row: NDArray[np.intp], col: NDArray[np.intp]
    ) -> _LineVoltages:
        """Return the voltages of a tile's lines while each of n cells is selected."""
        own_v = pulse.amplitude_v[tile.place]
        shape = own_v.shape[-2:]
        rows, cols = line_fractions(self._scheme, shape, row=row, col=col)
        amplitude_v = own_v[..., row, col][..., None]
        on = None
        # In a 1T1R array the transistors of the other rows are off and take the voltage.
        if self._scheme == "1T1R":
            on = (np.arange(shape[0]) == row[0]).astype(np.float64)[:, None]
        return _LineVoltages(rows * amplitude_v, cols * amplitude_v, on)

    def _driven_v(
        self,
        cells: ConductingCells,
        tile: Tile,
        lines_v: _LineVoltages,
        linear_conductance_s: FloatArray | None = None,
    ) -> FloatArray:
        """Return the voltages of a tile's cells, (..., n, rows, cols), as :meth:`_cell_v`."""
        wires, on = self._pulse_wires or Wires(), lines_v.on
        row_v, col_v = lines_v.row_v, lines_v.col_v
        if cells.linear:
            known = cells.conductance_s if linear_conductance_s is None else linear_conductance_s
            own_conductance_s = known[tile.place] if on is None else known[tile.place] * on
            cell_v = solve(own_conductance_s, row_v=row_v, col_v=col_v, wires=wires).cell_v
        else:
            ones = np.ones((row_v.shape[-1], 1)) if on is None else on
            cell_v = self._nonlinear_v(cells, tile, ones, row_v, col_v)
        if self._floating is not None:
            # NaN: a line that no terminal reaches through any cell; no current flows there.
            cell_v = np.nan_to_num(cell_v)
        return cell_v if on is None else np.nan_to_num(cell_v) * on

    def _nonlinear_v(
        self,
        cells: ConductingCells,
        tile: Tile,
        on: FloatArray,
        row_v: FloatArray,
        col_v: FloatArray,
    ) -> FloatArray:
        """Solve the voltages of nonlinear cells, (..., n, rows, cols), for n vectors of lines."""
        return solve_cells(
            cells.conductance_s[tile.place] * on,
            TileLaw(cells, tile, on, vectors=row_v.shape[-2]),
            row_v=row_v,
            col_v=col_v,
            wires=self._pulse_wires or Wires(),
        ).cell_v

    def _groups(
        self, selected: BoolArray, cells: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield selected cells to be solved at a time; of one row where transistors select it."""
        row, col = np.nonzero(selected)
        size = max(1, _AT_A_TIME // cells)
        between = np.flatnonzero(np.diff(row)) + 1
        breaks = between if self._scheme == "1T1R" else between[:0]
        for rows, cols in zip(np.split(row, breaks), np.split(col, breaks), strict=True):
            for begin in range(0, len(rows), size):
                yield rows[begin : begin + size], cols[begin : begin + size]

    def _nonlinear_a(self, cells: ConductingCells, row_v: FloatArray, rows: slice) -> FloatArray:
        """Return the column currents of nonlinear cells, for one vector (..., rows), amperes."""
        shape = cells.conductance_s.shape
        if self._wires is None:
            every_v = np.zeros(shape)
            every_v[..., rows, :] = row_v[..., None]
            column_a: FloatArray = cells.current_a(every_v)[..., rows, :].sum(axis=-2)
            return column_a
        row_v = np.broadcast_to(row_v, (*shape[:-2], row_v.shape[-1]))[..., None, :]
        columns = [
            solve_cells(
                cells.conductance_s[tile.place],
                TileLaw(cells, tile),
                row_v=row_v,
                wires=self._wires,
            ).col_a[..., 0, :]
            for tile in self._tiles
            if tile.rows == rows
        ]
        return np.concatenate(columns, axis=-1)

    def _gated(self, cells: ConductingCells, rows: slice, row: int, read_v: float) -> FloatArray:
        """Return the column currents, (..., cols), where the transistors of one row only are on."""
        on = (np.arange(rows.stop - rows.start) == row).astype(np.float64)[:, None]
        row_v, wires = read_v * on.T, self._wires or Wires()
        columns = []
        for tile in self._tiles:
            if tile.rows != rows:
                continue
            cells_conductance_s = cells.conductance_s[tile.place] * on
            if cells.linear:
                solution = solve(cells_conductance_s, row_v=row_v, wires=wires)
            else:
                solution = solve_cells(
                    cells_conductance_s, TileLaw(cells, tile, on), row_v=row_v, wires=wires
                )
            columns.append(solution.col_a[..., 0, :])
        return np.concatenate(columns, axis=-1)

    def _crossbar(self, conductance_s: FloatArray, tile: Tile) -> Crossbar:
        if conductance_s is not self._known_conductance_s:
            self._known_conductance_s = conductance_s
            self._crossbars = {}
        key = (tile.rows.start, tile.cols.start)
        if key not in self._crossbars:
            wires = self._wires or Wires()
            self._crossbars[key] = Crossbar(conductance_s[tile.place], wires)
        return self._crossbars[key]
