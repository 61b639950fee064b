"""A measured conductance table with its units, conditions and source."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hwloop.errors import ConfigError, RecordError
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import Kelvin, PositiveSecond, PositiveVolt, Siemens, Volt

FORMAT = "hwloop-dataset"
FORMAT_VERSION = 1
_MOST_S = 1.0
_COLUMNS = ("conductance_s", "uncertainty_s")
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

    Every value is finite and above 0: no passive device conducts a negative amount, and a
    measured 0 says that the meter showed nothing, not that the device conducts nothing.
    ``uncertainty_s``: one standard deviation of each value, where it is known. ``source`` and
    ``doi``: where it comes from. ``validity``: for what it may be used.
    """

    model: Literal["pulse_table"] = "pulse_table"
    title: str
    device: str = ""
    source: str
    doi: str = ""
    conditions: Conditions
    validity: str = ""
    conductance_s: tuple[Annotated[Siemens, AfterValidator(_conducts)], ...] = Field(min_length=2)
    uncertainty_s: tuple[Annotated[Siemens, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _one_uncertainty_each(self) -> ConductanceTable:
        given = self.uncertainty_s
        if given is not None and len(given) != len(self.conductance_s):
            raise ValueError(
                f"uncertainty_s has {len(given)} values, conductance_s {len(self.conductance_s)}"
            )
        return self


def check_unit(conductance_s: Any, where: str) -> None:
    """Refuse cells of less than 1 ohm: of those, a unit was mistaken; by the median, siemens."""
    import numpy as np

    typical_s = float(np.median(np.abs(conductance_s)))
    if typical_s > _MOST_S:
        raise ConfigError(
            f"its conductances are about {typical_s:.3g} S: are they in siemens, and the currents"
            " in amperes?",
            file=where,
        )


def write_dataset(table: ConductanceTable, path: Path) -> None:
    """Write a table as an HDF5 dataset file; refuses to overwrite.

    The file appears under its name when it is complete, or not at all. Raises
    :class:`RecordError` when the name is taken or cannot be written.
    """
    write_complete(path, lambda file: _write(table, file))


def write_complete(path: Path, fill: Callable[[Any], None]) -> None:
    """An HDF5 file that ``fill`` fills; it appears under its name when complete, or not at all."""
    import h5py

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "x") as file:
            fill(file)
            file.flush()
            os.fsync(file.id.get_vfd_handle())  # on the disk before the name is

    appear_complete(path, write)


def appear_complete(path: Path, write: Callable[[Path], None]) -> None:
    """What ``write`` writes to a temporary name appears as ``path``, whole or not at all.

    Raises :class:`RecordError` when the name is taken or cannot be written.
    """
    # In the same folder: between file systems a rename would be a copy, which can break off.
    if not path.parent.is_dir():
        raise RecordError(f"{path}: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    _refuse_existing(path)
    try:
        write(temporary)
        _refuse_existing(path)  # someone may have made it meanwhile, and a rename would replace it
        temporary.rename(path)
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from None
    finally:
        with suppress(OSError):  # gone after the rename; if not, the error above matters more
            temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise RecordError(f"{path}: exists already; choose another name")


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
    if table.uncertainty_s is not None:
        error = file.create_dataset("uncertainty_s", data=table.uncertainty_s)
        error.attrs["units"] = "S"


def read_dataset(path: Path) -> ConductanceTable:
    """Read a table back; :class:`ConfigError` says file, key, value and what is wrong."""
    with open_dataset(path, FORMAT, FORMAT_VERSION) as file:
        return ConductanceTable.parse(_contents(file))


@contextmanager
def open_dataset(path: Path, form: str, version: int) -> Iterator[Any]:
    """The HDF5 file of this format; whatever goes wrong while it is read names the file."""
    import h5py

    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    try:
        with h5py.File(path, "r") as file:
            _check_format(file, form, version)
            yield file
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
    # What h5py raises for a damaged file depends on where the damage is.
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as exc:
        raise ConfigError(f"damaged, or not an HDF5 file: {exc}", file=str(path)) from None


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


def _check_format(file: Any, form: str, version: int) -> None:
    if file.attrs.get("format") != form:
        raise ConfigError(f"not a dataset file ({form}); `hwloop import` makes one")
    written = int(file.attrs.get("format_version", 0))
    if not 1 <= written <= version:
        raise ConfigError(
            f"{written}: this hwloop reads versions up to {version}", key="format_version"
        )


def attributes(item: Any) -> dict[str, Any]:
    """Attributes as plain Python values, so that the models check them like any other."""
    return {
        name: value.item() if hasattr(value, "item") and value.ndim == 0 else value
        for name, value in item.attrs.items()
    }


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
