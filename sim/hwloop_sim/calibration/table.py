"""Tables of conductance against pulse number, which the device ``pulse_table`` plays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from hwloop.datasets.measurement import Conditions, Measurement, PulseAmplitude, read_measurement
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, Siemens


class PulseConditions(Conditions):
    """Measurement conditions of a table, which always has an amplitude and a width."""

    amplitude_v: PulseAmplitude
    width_s: PositiveSecond


def _positive(conductance_s: float) -> float:
    if conductance_s <= 0:
        raise ValueError("a conductance is above 0 S; 0 is what a failed read leaves behind")
    return conductance_s


class ConductanceTable(Settings):
    """Conductance of one device after 0, 1, 2, … equal pulses, siemens.

    Every value is finite and above 0. ``conductance_uncertainty_s``: one standard deviation of each
    value, siemens, where it is known. ``source`` and ``doi``: where the table comes from.
    ``validity``: for what it may be used.
    """

    model: Literal["pulse_table"] = "pulse_table"
    title: str
    device: str = ""
    source: str
    doi: str = ""
    conditions: PulseConditions
    validity: str = ""
    conductance_s: tuple[Annotated[Siemens, AfterValidator(_positive)], ...] = Field(min_length=2)
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


def read_table(path: Path) -> ConductanceTable:
    """Read a dataset file of one train of equal pulses as a table.

    Raises :class:`ConfigError` with the file and what it holds instead.
    """
    try:
        return table_of(read_measurement(path))
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None


def table_of(measurement: Measurement) -> ConductanceTable:
    """Return the only train of a measurement as a table.

    Raises :class:`ConfigError` if there are several trains, several pulses or a gap.
    """
    if measurement.kind != "trains":
        raise ConfigError(f"holds {measurement.kind}: expected one train of equal pulses")
    columns = measurement.columns
    trains = np.unique(np.stack([columns["cell"], columns["train"]]), axis=1).shape[1]
    if trains > 1:
        raise ConfigError(
            f"holds {trains} trains: expected one; `hwloop calibrate --model pulse_table` makes a"
            " table of their mean"
        )
    for name in ("amplitude_v", "width_s"):
        if np.unique(columns[name]).size > 1:
            raise ConfigError(f"{name} differs from pulse to pulse: expected equal pulses")
    if not np.array_equal(columns["pulse"], np.arange(measurement.rows)):
        raise ConfigError("has a gap: its pulses are not 0, 1, 2, …")
    pulse = {name: float(columns[name][0]) for name in ("amplitude_v", "width_s")}
    conditions = measurement.conditions.model_dump(exclude_none=True)
    texts = {n: getattr(measurement, n) for n in ("title", "device", "source", "doi", "validity")}
    return ConductanceTable.parse(
        {
            **texts,
            "conditions": {**conditions, **pulse},
            "conductance_s": columns["conductance_s"].tolist(),
        }
    )
