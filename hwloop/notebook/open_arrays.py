"""An array for loops of one's own: guarded, recorded and made safe as in any run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from hwloop.array.operations import PulseMap, ReadMap, VectorBatch, Wait
from hwloop.backend.base import CrossbarBackend
from hwloop.errors import Stopped
from hwloop.execution.open_run import OpenRun
from hwloop.execution.runner import RunOptions, open_run, record_path
from hwloop.notebook.running import chosen_procedure
from hwloop.procedure.procedure import Procedure
from hwloop.settings.units import parse_quantity
from hwloop.steps.common.cells import measured_a, read_of
from hwloop.types import FlagArray, FloatArray

Cell = tuple[int, int]
"""A cell as (row, column), counted from 0."""


class OpenArray:
    """An array that is open: every operation is checked against its limits, and recorded.

    Voltages in volts, times in seconds, conductances in siemens; or texts with a unit, "1.2 V".
    """

    def __init__(self, run: OpenRun) -> None:
        self._run = run

    @property
    def backend(self) -> CrossbarBackend:
        """The guarded backend, for operations that have no method here.

        Raises :class:`hwloop.errors.Stopped` where someone has asked to stop.
        """
        self._run.check_stop()
        return self._run.array.backend

    @property
    def path(self) -> Path:
        """File of the record, whole when the array is closed."""
        return self._run.path

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, (..., rows, cols)."""
        return self._run.array.backend.description.shape

    def conductance_s(self, cells: list[Cell] | None = None) -> FloatArray:
        """Read cells, all if none are given; (..., rows, cols), siemens, NaN for the others.

        Raises :class:`hwloop.errors.StepError` where one could not be measured.
        """
        mask = np.full(self.shape, cells is None)
        for row, col in cells or ():
            mask[..., row, col] = True
        reading = self.backend.read(read_of(self._run.array.settings, mask))
        measured_a(reading, step="read")
        return self._run.array.conductance_s(reading)

    def current_a(self, read_v: float | str) -> FloatArray:
        """Read every cell at a voltage of one's own; (..., rows, cols), amperes."""
        mask = np.ones(self.shape, np.bool_)
        read = ReadMap(mask, parse_quantity(read_v, "V"))
        return measured_a(self.backend.read(read), step="read")

    def pulse(
        self,
        amplitude_v: ArrayLike | Mapping[Cell, float | str],
        width_s: float | str,
        *,
        count: int = 1,
        gate_v: float | FloatArray | None = None,
    ) -> FlagArray:
        """Apply a pulse to each cell, or a train of ``count`` equal ones.

        ``amplitude_v``: a map (..., rows, cols), 0 for cells without a pulse, or the amplitudes
        of some cells: ``{(2, 3): "1.2 V"}``. Returns the flags of
        :class:`hwloop.array.operations.Flag`.
        """
        if isinstance(amplitude_v, Mapping):
            amplitudes_v = np.zeros(self.shape)
            for (row, col), level in amplitude_v.items():
                amplitudes_v[..., row, col] = parse_quantity(level, "V")
        else:
            amplitudes_v = np.broadcast_to(np.asarray(amplitude_v, np.float64), self.shape)
        pulse = PulseMap(amplitudes_v, parse_quantity(width_s, "s"), count, gate_v)
        return self.backend.pulse(pulse)

    def multiply(self, voltage_v: ArrayLike) -> FloatArray:
        """Drive the rows with vectors (..., vectors, rows); the currents of the columns, amperes.

        (..., vectors, cols). One vector may be given without its axis. Raises
        :class:`hwloop.errors.StepError` where a current could not be measured.
        """
        rows_v = np.asarray(voltage_v, np.float64)
        reading = self.backend.multiply(VectorBatch(np.atleast_2d(rows_v)))
        found_a = measured_a(reading, step="multiply")
        return found_a[..., 0, :] if rows_v.ndim == 1 else found_a

    def wait(self, duration_s: float | str) -> None:
        """Let time pass on the clock of the array."""
        self.backend.wait(Wait(parse_quantity(duration_s, "s")))

    def __repr__(self) -> str:
        size = " × ".join(map(str, self.shape))
        name = self._run.array.backend.description.name
        return f"<OpenArray {size} on {name}, recorded in {self.path}>"


@contextmanager
def open_array(
    procedure: str | Path | Procedure,
    *,
    backend: str | None = None,
    station: str | Path | None = None,
    recording: str | Path | None = None,
    out: str | Path = "runs",
    population: int | None = None,
    seed: int | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Iterator[OpenArray]:
    """Open the array of a procedure file, its limits and backends, for a loop of one's own.

    The file's steps are not run, and not in the record. Every cell is read at the begin and at the
    end, as in any run; however the block ends, the array is made safe and the record closed. The
    other arguments are those of :func:`hwloop.run`. Raises :class:`hwloop.errors.Stopped` where
    someone has asked to stop.
    """
    chosen, loaded = chosen_procedure(
        procedure, backend=backend, station=station, recording=recording, overrides=overrides
    )
    alone = replace(loaded, steps=())
    path = record_path(Path(out), alone, alone.seed if seed is None else seed)
    options = RunOptions(chosen, path, population=population, seed=seed)
    with open_run(alone, options) as run:
        array = run.array
        run.conductance("initial_conductance_s", array.conductance_s(array.read_all()))
        run.allow_interrupts()
        yield OpenArray(run)
        run.conductance("final_conductance_s", array.conductance_s(array.read_all()))
    if run.result.status == "stopped":
        raise Stopped(f"stopped before its end; what was done is in {run.path}")
