"""A measured conductance table with its units, conditions and source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hwloop.datasets.files import attributes, open_dataset, write_complete
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import Kelvin, PositiveSecond, PositiveVolt, Siemens, Volt

FORMAT = "hwloop-dataset"


FORMAT_VERSION = 1


_MOST_CONDUCTANCE_S = 1.0


_COLUMNS = ("conductance_s", "conductance_uncertainty_s")


_TEXTS = ("model", "title", "device", "source", "doi", "validity")


def _pulses(amplitude_v: float) -> float:
    if amplitude_v == 0:
        raise ValueError("a pulse is not of 0 V")
    return amplitude_v


class Conditions(Settings):
    """How a table was measured.

    ``amplitude_v`` (signed, row above column) and ``width_s``: of each pulse. ``read_v``: at
    which the conductance was read; None where the source does not say.
    """

    amplitude_v: Annotated[Volt, AfterValidator(_pulses)]
    width_s: PositiveSecond
    read_v: PositiveVolt | None = None
    temperature_k: Annotated[Kelvin, Field(gt=0)] | None = None
    note: str = ""


def _conducts(conductance_s: float) -> float:
    if conductance_s <= 0:
        raise ValueError("a conductance is above 0 S; 0 is what a failed read leaves behind")
    return conductance_s


class ConductanceTable(Settings):
    """Conductance of one device after 0, 1, 2, … equal pulses, siemens.

    Every value is finite and above 0: no passive device conducts a negative amount, and a measured
    0 says that the meter showed nothing, not that the device conducts nothing.
    ``conductance_uncertainty_s``: one standard deviation of each value, where it is known.
    ``source`` and ``doi``: where it comes from. ``validity``: for what it may be used.
    """

    model: Literal["pulse_table"] = "pulse_table"
    title: str
    device: str = ""
    source: str
    doi: str = ""
    conditions: Conditions
    validity: str = ""
    conductance_s: tuple[Annotated[Siemens, AfterValidator(_conducts)], ...] = Field(min_length=2)
    conductance_uncertainty_s: tuple[Annotated[Siemens, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _one_uncertainty_each(self) -> ConductanceTable:
        given = self.conductance_uncertainty_s
        if given is not None and len(given) != len(self.conductance_s):
            raise ValueError(
                f"conductance_uncertainty_s has {len(given)} values, conductance_s"
                f" {len(self.conductance_s)}"
            )
        return self


def check_unit(conductance_s: Any, where: str) -> None:
    """Refuse cells of less than 1 ohm: of those, a unit was mistaken; by the median, siemens."""
    import numpy as np

    typical_conductance_s = float(np.median(np.abs(conductance_s)))
    if typical_conductance_s > _MOST_CONDUCTANCE_S:
        raise ConfigError(
            f"its conductances are about {typical_conductance_s:.3g} S: are they in siemens, and"
            " the currents"
            " in amperes?",
            file=where,
        )


def write_dataset(table: ConductanceTable, path: Path) -> None:
    """Write a table as an HDF5 dataset file; refuses to overwrite.

    The file appears under its name when it is complete, or not at all. Raises
    :class:`RecordError` when the name is taken or cannot be written.
    """
    write_complete(path, lambda file: _write(table, file))


def _write(table: ConductanceTable, file: Any) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    for name in _TEXTS:
        file.attrs[name] = getattr(table, name)
    conditions = file.create_group("conditions")
    for name, value in table.conditions.model_dump(exclude_none=True).items():
        conditions.attrs[name] = value
    data = file.create_dataset("conductance_s", data=table.conductance_s)
    data.attrs["units"] = "S"
    data.attrs["meaning"] = "conductance after 0, 1, 2, ... pulses"
    if table.conductance_uncertainty_s is not None:
        error = file.create_dataset(
            "conductance_uncertainty_s", data=table.conductance_uncertainty_s
        )
        error.attrs["units"] = "S"


def read_dataset(path: Path) -> ConductanceTable:
    """Read a table back; :class:`ConfigError` says file, key, value and what is wrong."""
    with open_dataset(path, FORMAT, FORMAT_VERSION) as file:
        return ConductanceTable.parse(_contents(file))


def format_of(path: Path) -> str:
    """The ``format`` that an HDF5 file states; "" where it is none, or states nothing."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format", ""))
    except OSError:
        return ""


def _contents(file: Any) -> dict[str, Any]:
    data = attributes(file)
    del data["format"], data["format_version"]
    for name in file:
        if name not in ("conditions", *_COLUMNS):
            raise ConfigError(
                f"unknown key{nearest(name, ConductanceTable.model_fields)}", key=name
            )
    if "conditions" in file:
        data["conditions"] = attributes(file["conditions"])
    for name in _COLUMNS:
        if name in file:
            data[name] = _values(file[name], name)
    return data


def _values(data: Any, name: str) -> list[float]:
    units = data.attrs.get("units")
    if units != "S":
        raise ConfigError(f"units are {units!r}: expected 'S'", key=name)
    if data.ndim != 1 or data.dtype.kind not in "fiu":
        raise ConfigError(
            f"holds {data.dtype} of shape {data.shape}: expected one row of numbers",
            key=name,
        )
    return [float(value) for value in data[:]]
