"""A measured conductance table with its units, conditions and source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hwloop.errors import ConfigError, RecordError
from hwloop.settings import Settings
from hwloop.units import Kelvin, PositiveSecond, PositiveVolt, Siemens, Volt

FORMAT = "hwloop-dataset"


class Conditions(Settings):
    """How a table was measured.

    ``amplitude_v`` (signed, row above column) and ``width_s``: of each pulse. ``read_v``: at
    which the conductance was read; None where the source does not say.
    """

    amplitude_v: Volt
    width_s: PositiveSecond
    read_v: PositiveVolt | None = None
    temperature_k: Annotated[Kelvin, Field(gt=0)] | None = None
    note: str = ""


class ConductanceTable(Settings):
    """Conductance of one device after 0, 1, 2, … equal pulses, siemens.

    ``source`` and ``doi``: where it comes from. ``validity``: for what it may be used.
    """

    model: Literal["pulse_table"] = "pulse_table"
    title: str
    device: str = ""
    source: str
    doi: str = ""
    conditions: Conditions
    validity: str = ""
    conductance_s: tuple[Annotated[Siemens, Field(ge=0)], ...] = Field(min_length=2)


def write_dataset(table: ConductanceTable, path: Path) -> None:
    """Write a table as an HDF5 dataset file; refuses to overwrite.

    Raises :class:`RecordError` when the file exists or cannot be written.
    """
    import h5py

    try:
        with h5py.File(path, "x") as file:
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = 1
            for name in ("model", "title", "device", "source", "doi", "validity"):
                file.attrs[name] = getattr(table, name)
            conditions = file.create_group("conditions")
            for name, value in table.conditions.model_dump(exclude_none=True).items():
                conditions.attrs[name] = value
            data = file.create_dataset("conductance_s", data=table.conductance_s)
            data.attrs["units"] = "S"
            data.attrs["meaning"] = "conductance after 0, 1, 2, ... pulses"
    except FileExistsError:
        raise RecordError(f"{path}: exists already; choose another name") from None
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc}") from None


def read_dataset(path: Path) -> ConductanceTable:
    """Read a table back; :class:`ConfigError` says what is wrong with the file."""
    import h5py

    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ConfigError(f"not a dataset file ({FORMAT})", file=str(path))
            names = ("model", "title", "device", "source", "doi", "validity")
            data = {name: str(file.attrs[name]) for name in names}
            conditions = {
                name: value if isinstance(value, str) else float(value)
                for name, value in file["conditions"].attrs.items()
            }
            values = [float(value) for value in file["conductance_s"][:]]
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"damaged dataset file: {exc}", file=str(path)) from None
    try:
        return ConductanceTable.parse({**data, "conditions": conditions, "conductance_s": values})
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
