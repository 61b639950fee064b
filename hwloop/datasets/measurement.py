"""Measured data as columns: trains, sweeps, programming, reads, cycling; with their source.

Each kind has its own columns, one row per measured value, each in the SI unit that its name
carries. ``cell`` is the address given in the file, as an integer. Missing values are NaN, and only
the columns that may have gaps hold any. A single series of conductances after 0, 1, 2, … equal
pulses, which the emulator can play, is a measurement of kind ``trains`` with one train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from hwloop.datasets.files import attributes, format_of, open_dataset, write_complete
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.foreign_files import refuse_claims
from hwloop.settings.model import Settings
from hwloop.settings.units import EitherVolt, Kelvin, PositiveSecond, Volt

FORMAT = "hwloop-measurement"
FORMAT_VERSION = 1

Kind = Literal["trains", "iv", "pulse_sweeps", "programming", "reads", "cycling"]
Column = NDArray[np.float64]


@dataclass(frozen=True)
class _Layout:
    """Columns of one kind of measurement.

    ``columns``: name → unit. ``may_be_nan``: columns whose value may be missing in a row.
    """

    columns: Mapping[str, str]
    may_be_nan: frozenset[str] = frozenset()


LAYOUTS: Mapping[str, _Layout] = {
    "trains": _Layout(
        {
            "cell": "1",
            "train": "1",
            "pulse": "1",
            "amplitude_v": "V",
            "width_s": "s",
            "conductance_s": "S",
        }
    ),
    "iv": _Layout(
        {"cell": "1", "sweep": "1", "time_s": "s", "voltage_v": "V", "current_a": "A"},
        frozenset({"time_s"}),
    ),
    "pulse_sweeps": _Layout(
        {
            "cell": "1",
            "width_s": "s",
            "amplitude_v": "V",
            "gate_v": "V",
            "before_conductance_s": "S",
            "after_conductance_s": "S",
        }
    ),
    "programming": _Layout(
        {
            "cell": "1",
            "reads": "1",
            "set_pulses": "1",
            "reset_pulses": "1",
            "conductance_s": "S",
            "target_low_conductance_s": "S",
            "target_high_conductance_s": "S",
            "success": "1",
        },
        frozenset({"target_high_conductance_s"}),  # a window may have no upper end
    ),
    "reads": _Layout({"cell": "1", "time_s": "s", "conductance_s": "S"}),
    "cycling": _Layout(
        {"cell": "1", "cycle": "1", "set_conductance_s": "S", "reset_conductance_s": "S"}
    ),
}
_CONDUCTANCES = (
    "conductance_s",
    "before_conductance_s",
    "after_conductance_s",
    "set_conductance_s",
    "reset_conductance_s",
)
_TEXTS = ("kind", "title", "device", "source", "doi", "validity")
_HIGHEST_MEDIAN_CONDUCTANCE_S = 1.0


def _not_zero(amplitude_v: float) -> float:
    if amplitude_v == 0:
        raise ValueError("a pulse is not of 0 V")
    return amplitude_v


PulseAmplitude = Annotated[Volt, AfterValidator(_not_zero)]
"""Amplitude of a pulse, volts, signed (row above column); 0 is refused."""


class Conditions(Settings):
    """Measurement conditions that are the same for all rows; None where they are not known.

    ``amplitude_v`` (signed, row above column) and ``width_s``: of the pulses. ``read_v``: voltage
    at which the conductance was read.
    """

    amplitude_v: PulseAmplitude | None = None
    width_s: PositiveSecond | None = None
    read_v: EitherVolt | None = None
    temperature_k: Annotated[Kelvin, Field(gt=0)] | None = None
    note: str = ""


def _as_column(value: object) -> Column:
    return np.asarray(value, dtype=np.float64)


class Measurement(Settings):
    """Columns of one kind, all of the same length, with their source.

    Every conductance is finite and above 0: no passive device conducts a negative amount, and a
    measured 0 says that the meter showed nothing. Raises a validation error with column and row
    otherwise. ``source`` and ``doi``: where the data come from. ``validity``: for what they may be
    used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: Kind
    title: str
    device: str = ""
    source: str
    doi: str = ""
    validity: str = ""
    conditions: Conditions = Conditions()
    columns: Annotated[
        Mapping[str, Any], AfterValidator(lambda c: {k: _as_column(c[k]) for k in c})
    ]

    @model_validator(mode="after")
    def _complete(self) -> Measurement:
        layout = LAYOUTS[self.kind]
        for name in self.columns:
            if name not in layout.columns:
                raise ValueError(
                    f"{name!r}: no column of {self.kind}{nearest(name, layout.columns)}"
                )
        missing = [name for name in layout.columns if name not in self.columns]
        if missing:
            raise ValueError(f"{self.kind} lacks the columns {', '.join(missing)}")
        if len({column.shape for column in self.columns.values()}) > 1 or not self.rows:
            raise ValueError("columns: expected one row or more, the same number in each")
        for name, column in self.columns.items():
            _check_column(name, column, may_be_nan=name in layout.may_be_nan)
        return self

    @property
    def rows(self) -> int:
        """Return the number of values in each column."""
        return int(next(iter(self.columns.values())).size)


def train_columns(
    trains: Sequence[ArrayLike],
    *,
    cells: Sequence[float],
    amplitudes_v: Sequence[float],
    widths_s: Sequence[float],
) -> dict[str, Column]:
    """Return the columns of kind ``trains``, from one entry per train in each argument.

    ``trains``: conductances after 0, 1, 2, … pulses, siemens; the trains may differ in length.
    """
    values = [_as_column(train) for train in trains]
    sizes = [train.size for train in values]
    numbers = np.arange(len(sizes))
    return {
        "cell": np.repeat(_as_column(cells), sizes),
        "train": np.repeat(_as_column(numbers), sizes),
        "pulse": np.concatenate([np.arange(float(size)) for size in sizes]),
        "amplitude_v": np.repeat(_as_column(amplitudes_v), sizes),
        "width_s": np.repeat(_as_column(widths_s), sizes),
        "conductance_s": np.concatenate(values),
    }


def check_unit(conductance_s: ArrayLike, where: str) -> None:
    """Refuse conductances whose median is above 1 S: their unit was mistaken.

    Raises :class:`ConfigError` with ``where``, the file, and the median.
    """
    median_conductance_s = float(np.median(np.abs(conductance_s)))
    if median_conductance_s > _HIGHEST_MEDIAN_CONDUCTANCE_S:
        raise ConfigError(
            f"its conductances are about {median_conductance_s:.3g} S: are they in siemens, and the"
            " currents in amperes?",
            file=where,
        )


def _check_column(name: str, column: Column, *, may_be_nan: bool) -> None:
    wrong = np.isinf(column) if may_be_nan else ~np.isfinite(column)
    if name in _CONDUCTANCES:
        wrong |= column <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "a value above 0 S" if name in _CONDUCTANCES else "a finite number"
        raise ValueError(f"columns.{name}: row {row} is {column[row]:g}: expected {expected}")


def write_measurement(measurement: Measurement, path: Path) -> None:
    """Write a measurement as an HDF5 file, complete or not at all.

    Raises :class:`hwloop.errors.RecordError` if the file exists or cannot be written.
    """
    write_complete(path, lambda file: _write(measurement, file))


def _write(measurement: Measurement, file: Any) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    for name in _TEXTS:
        file.attrs[name] = getattr(measurement, name)
    conditions = file.create_group("conditions")
    for name, value in measurement.conditions.model_dump(exclude_none=True).items():
        conditions.attrs[name] = value
    columns = file.create_group("columns")
    for name, unit in LAYOUTS[measurement.kind].columns.items():
        data = columns.create_dataset(name, data=measurement.columns[name])
        data.attrs["units"] = unit


def is_measurement(path: Path) -> bool:
    """Return whether a file is a measurement that ``hwloop import`` wrote."""
    return path.is_file() and format_of(path) == FORMAT


def read_measurement(path: Path) -> Measurement:
    """Read a measurement from an HDF5 file.

    Raises :class:`ConfigError` with file, key, value and what was expected.
    """
    with open_dataset(path, FORMAT, FORMAT_VERSION) as file:
        data = attributes(file)
        del data["format"], data["format_version"]
        data["conditions"] = attributes(file["conditions"])
        refuse_claims({name: item.shape for name, item in file["columns"].items()})
        data["columns"] = {name: item[:] for name, item in file["columns"].items()}
        units = {name: item.attrs.get("units") for name, item in file["columns"].items()}
        try:
            measurement = Measurement.parse(data)
        except ConfigError as exc:
            raise exc.below(file=str(path)) from None
    for name, unit in LAYOUTS[measurement.kind].columns.items():
        if units[name] != unit:
            raise ConfigError(
                f"units are {units[name]!r}: expected {unit!r}", key=name, file=str(path)
            )
    return measurement
