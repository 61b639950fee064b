"""Figures of one measurement by its kind, as far as it determines them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hwloop.datasets.measurement import Measurement
from hwloop.recordings.comparison import Figures, figures_of_columns
from hwloop.recordings.sweeps import sweeps_of
from hwloop.recordings.trains import trains_of
from hwloop.settings.units import format_quantity

_MOST_GROUPS = 12


def summaries(measurement: Measurement) -> Iterator[tuple[str, Figures]]:
    """Yield title and figures of what a measurement holds; of the first dozen kinds of trains."""
    if measurement.kind == "trains":
        for group in trains_of(measurement)[:_MOST_GROUPS]:
            yield f"trains of {group.name}", group.figures()
    elif measurement.kind == "iv":
        yield "I-V sweeps", sweeps_of(measurement).figures()
    else:
        yield measurement.kind.replace("_", " "), figures_of_columns(measurement)


def provenance(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """Yield name and text of what was said of a measurement: texts, then conditions."""
    for name in ("title", "device", "source", "doi", "validity"):
        if getattr(measurement, name):
            yield name, getattr(measurement, name)
    units = {"amplitude_v": "V", "width_s": "s", "read_v": "V", "temperature_k": "K"}
    for name, value in measurement.conditions.model_dump(exclude_none=True).items():
        if name in units:
            yield name.rpartition("_")[0], format_quantity(value, units[name])
        elif value:
            yield name, str(value)


def value_text(value: float, unit: str) -> str:
    """Format a figure; "–" where it is not defined."""
    if math.isnan(value):
        return "–"
    if unit == "%":
        return f"{value:.3g} %"
    if unit:
        return format_quantity(value, unit)
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"
