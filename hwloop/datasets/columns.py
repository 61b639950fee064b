"""A measured data set as columns: trains, sweeps, programming, reads, cycling; with its source.

Each kind has columns of its own, one row a measured value, each in the SI unit that its name
carries. ``cell`` is the address that the file gave, as an integer. A missing figure is NaN only in
the columns that may have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from hwloop.datasets.files import attributes, open_dataset, write_complete
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import Kelvin, PositiveSecond, PositiveVolt, Volt

FORMAT = "hwloop-measurement"
FORMAT_VERSION = 1

Kind = Literal["trains", "iv", "pulse_sweeps", "programming", "reads", "cycling"]
Column = NDArray[np.float64]


@dataclass(frozen=True)
class _Layout:
    """The columns of a kind: name → unit, and which of them may be missing in a row."""

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
        }
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


class MeasuredConditions(Settings):
    """What holds for all rows; None where neither the file nor the user says it.

    ``amplitude_v``, ``width_s``: of the pulse, where it is the same for all rows.
    """

    amplitude_v: Volt | None = None
    width_s: PositiveSecond | None = None
    read_v: PositiveVolt | None = None
    temperature_k: Annotated[Kelvin, Field(gt=0)] | None = None
    note: str = ""


def _as_column(value: object) -> Column:
    return np.asarray(value, dtype=np.float64)


class Measurement(Settings):
    """Columns of one kind, all of the same length, with their source.

    Conductances are above 0. Raises a validation error with column and row otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: Kind
    title: str
    device: str = ""
    source: str
    doi: str = ""
    validity: str = ""
    conditions: MeasuredConditions = MeasuredConditions()
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
        """How many values each column has."""
        return int(next(iter(self.columns.values())).size)


def _check_column(name: str, column: Column, *, may_be_nan: bool) -> None:
    wrong = np.isinf(column) if may_be_nan else ~np.isfinite(column)
    if name in _CONDUCTANCES:
        wrong |= column <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = "a value above 0 S" if name in _CONDUCTANCES else "a finite number"
        raise ValueError(f"columns.{name}: row {row} is {column[row]:g}: expected {expected}")


def write_measurement(measurement: Measurement, path: Path) -> None:
    """Write it as an HDF5 file, whole or not at all; refuses to overwrite."""
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


def read_measurement(path: Path) -> Measurement:
    """Read one back; :class:`ConfigError` says file, key, value and what is wrong."""
    with open_dataset(path, FORMAT, FORMAT_VERSION) as file:
        data = attributes(file)
        del data["format"], data["format_version"]
        data["conditions"] = attributes(file["conditions"])
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
