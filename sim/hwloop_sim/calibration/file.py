"""Calibration files of the emulator: shipped ones by name, one's own by path.

A file with ``format: hwloop-calibration`` has parameters of a device model, and may be a whole
twin, with effects, a cell law and read noise. A file with ``model: pulse_table`` is a measured
table, and needs no other parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from hwloop.datasets.calibrations import HDF5_SUFFIXES, read_calibration
from hwloop.errors import ConfigError, HwloopError
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import Kelvin, PositiveSecond, PositiveSiemens, Siemens, Volt
from hwloop_sim.calibration.table import ConductanceTable, read_table

FORMAT = "hwloop-calibration"
FORMAT_VERSION = 1

TABLE_MODEL = "pulse_table"
"""Device model of a measured table, which a file without ``format`` is."""

BESIDE_DEVICE = ("effects", "cell_law", "read_noise")
"""Keys beside ``device`` in the emulator's section that a calibration may set."""


class MeasuredRange(Settings):
    """The range a device was measured in: conductance, and where stated pulse voltage and width.

    ``low_v`` to ``high_v`` are signed; None: the model itself refuses, or nothing is known.
    """

    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens
    low_v: Volt | None = None
    high_v: Volt | None = None
    shortest_s: PositiveSecond | None = None
    longest_s: PositiveSecond | None = None

    @model_validator(mode="after")
    def _ordered(self) -> MeasuredRange:
        for low, high in (
            ("low_conductance_s", "high_conductance_s"),
            ("low_v", "high_v"),
            ("shortest_s", "longest_s"),
        ):
            least, most = getattr(self, low), getattr(self, high)
            if (least is None) != (most is None):
                raise ValueError(f"give both {low} and {high}, or neither")
            if least is not None and most is not None and not self._in_order(least, most, low):
                raise ValueError(f"{low} {least:g} must be below {high} {most:g}")
        return self

    @staticmethod
    def _in_order(least: float, most: float, low: str) -> bool:
        return least < most or (low == "shortest_s" and least == most)


class Validity(Settings):
    """The range covered by the data; a bound left out is unknown, or for the user to judge.

    ``pulses``: amplitude and width of the pulses, and the longest train of them.
    """

    low_conductance_s: PositiveSiemens | None = None
    high_conductance_s: PositiveSiemens | None = None
    low_v: Volt | None = None
    high_v: Volt | None = None
    shortest_s: PositiveSecond | None = None
    longest_s: PositiveSecond | None = None
    pulses: tuple[Mapping[str, Any], ...] = ()
    temperature_k: Annotated[Kelvin, Field(gt=0)] | None = None
    summary: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Validity:
        if self.low_conductance_s is None and self.high_conductance_s is None and not self.summary:
            raise ValueError(
                "lacks low_conductance_s and high_conductance_s, or a summary that says why"
            )
        if self.low_conductance_s is not None or self.high_conductance_s is not None:
            MeasuredRange.model_validate(self._range())
        return self

    def _range(self) -> dict[str, Any]:
        return self.model_dump(include=set(MeasuredRange.model_fields), exclude_none=True)

    @property
    def measured(self) -> dict[str, Any] | None:
        """Return the range that emulated cells are watched for; None without conductance bounds."""
        return None if self.low_conductance_s is None else self._range()


class Calibration(Settings):
    """A calibration file: parameters, and how far to trust them.

    ``model``, ``parameters``: of the device; left out where the file holds effects only, which
    serve any device. ``effects``, ``cell_law``, ``read_noise``: as below ``backends.sim``.
    ``uncertainty``: one standard deviation, by the parameter's name. ``covariance``: names, scales
    and matrix. ``undetermined``: parameters that the data do not determine separately.
    ``held_out``: figures on data that were not fitted. ``licence``: of the data, as a sentence.
    """

    format: Literal["hwloop-calibration"]
    format_version: Literal[1]
    model: str | None = None
    parameters: Mapping[str, Any] = {}
    effects: tuple[Mapping[str, Any], ...] | None = None
    cell_law: Mapping[str, Any] | None = None
    read_noise: float | None = None
    title: str = ""
    device: str = ""
    source: str = ""
    doi: str = ""
    licence: str = ""
    conditions: Mapping[str, Any] = {}
    files: tuple[Mapping[str, str], ...] = ()
    validity: Validity | None = None
    uncertainty: Mapping[str, Any] = {}
    covariance: Mapping[str, Any] = {}
    undetermined: tuple[str, ...] = ()
    read_noise_conductance_s: Siemens | None = None
    goodness: Mapping[str, Any] = {}
    remarks: tuple[str, ...] = ()
    held_out: tuple[Mapping[str, Any], ...] = ()

    @model_validator(mode="after")
    def _of_something(self) -> Calibration:
        if self.model is not None and (not self.parameters or self.validity is None):
            raise ValueError(
                "lacks parameters, or validity with low_conductance_s and high_conductance_s"
            )
        if self.model is None and not self.effects:
            raise ValueError("names neither a model nor effects")
        return self

    def settings(self) -> dict[str, Any]:
        """Return the device's settings, ``measured_range`` among them."""
        measured = None if self.validity is None else self.validity.measured
        return {**self.parameters, **({"measured_range": measured} if measured else {})}

    def twin(self) -> dict[str, Any]:
        """Return every setting of the file, as keys below ``backends.sim``."""
        found: dict[str, Any] = {}
        if self.model is not None:
            found["device"] = {"model": self.model, **self.settings()}
        for name in BESIDE_DEVICE:
            if (value := getattr(self, name)) is not None:
                found[name] = value
        return found


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of every setting, with dots inside mappings."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def load_table(reference: str, folder: Path) -> ConductanceTable:
    """Return a pulse table by its shipped name, or from a ``.yaml`` or ``.h5`` file.

    A path is relative to ``folder``. Raises :class:`ConfigError` with the nearest name, or with the
    file and what is wrong in it.
    """
    path = folder / reference
    if path.suffix in HDF5_SUFFIXES:
        return read_table(path)
    return _table(*read_calibration(reference, folder))


def load_calibration(reference: str, folder: Path) -> Calibration | ConductanceTable:
    """Return a calibration by its shipped name or by a path relative to ``folder``.

    Raises :class:`ConfigError` as :func:`load_table` does.
    """
    if (folder / reference).suffix in HDF5_SUFFIXES:
        return load_table(reference, folder)
    name, data = read_calibration(reference, folder)
    if data.get("model") == TABLE_MODEL and "format" not in data:
        return _table(name, data)
    if data.get("format") != FORMAT:
        raise ConfigError(f"{name}: not a calibration ({FORMAT}); `hwloop calibrate` makes one")
    if data.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{name}: format_version {data.get('format_version')!r}: this hwloop reads"
            f" {FORMAT_VERSION}"
        )
    try:
        return Calibration.parse(data)
    except ConfigError as exc:
        raise exc.below(file=name) from None


def _table(name: str, data: Any) -> ConductanceTable:
    try:
        return ConductanceTable.parse(data)
    except ConfigError as exc:
        raise exc.below(file=name) from None


def _load(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    try:
        return load_table(value, folder_of(info))
    except HwloopError as exc:
        raise ValueError(str(exc)) from None


TableReference = Annotated[ConductanceTable, BeforeValidator(_load)]
"""A pulse table: by name, by path, or written out."""
