"""The cells of an emulated population: a device model chosen by name, under effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop import plugins
from hwloop.errors import ConfigError
from hwloop.settings.field_units import below, units_of
from hwloop.settings.model import Settings, folder_of
from hwloop_sim.calibration.file import MeasuredRange
from hwloop_sim.calibration.twin import RangeWatch, merged, with_model
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.current_law import CellLawSettings
from hwloop_sim.cells.device import DeviceKind
from hwloop_sim.cells.effect import ChosenEffect, make_effects
from hwloop_sim.cells.memory import refuse_too_large

_ARRAYS = 12
"""Number of float64 arrays that a device model, an operation on it and the guard need at once."""


@dataclass(frozen=True)
class ChosenDevice:
    """A device model with its validated settings.

    ``measured_range``: of the calibration that the settings come from; None where they were given.
    """

    kind: DeviceKind[Any]
    settings: Settings
    measured_range: MeasuredRange | None = None

    def dump(self) -> dict[str, Any]:
        """Return the settings as in a procedure, with parameters in place of a file."""
        measured = self.measured_range
        return {
            "model": self.kind.name,
            **self.settings.model_dump(mode="json"),
            **({"measured_range": measured.model_dump(mode="json")} if measured else {}),
        }

    def units(self) -> dict[str, str]:
        """Return the unit of each setting by its path, as it stands in :meth:`dump`."""
        measured = self.measured_range
        of_range = below("measured_range", units_of(measured)) if measured else {}
        return units_of(self.settings) | of_range


def _choose(value: object, info: ValidationInfo) -> object:
    folder = folder_of(info)
    try:
        if isinstance(value, dict) and isinstance(value.get("calibration"), str):
            value = with_model(value, folder)
        if not isinstance(value, dict) or not isinstance(value.get("model"), str):
            raise ValueError("expected a mapping whose key 'model' names a device model")
        settings = {key: item for key, item in value.items() if key != "model"}
        kind: DeviceKind[Any] = plugins.load(plugins.DEVICES, value["model"])
        if "calibration" in settings and "calibration" not in kind.settings.model_fields:
            settings = merged(kind.name, settings, folder)
        measured = settings.pop("measured_range", None)
        return ChosenDevice(
            kind,
            kind.settings.parse(settings, folder=folder),
            None if measured is None else MeasuredRange.parse(measured),
        )
    except ConfigError as exc:
        raise exc.below("device") from None


DeviceChoice = Annotated[
    InstanceOf[ChosenDevice], BeforeValidator(_choose), PlainSerializer(ChosenDevice.dump)
]
"""A device model in a procedure: ``{model: NAME, …}``, perhaps with ``calibration: FILE``."""


def make_cells(
    device: ChosenDevice,
    effects: Sequence[ChosenEffect],
    shape: tuple[int, ...],
    *,
    device_rng: np.random.Generator,
    effects_rng: np.random.Generator,
    law: CellLawSettings | None = None,
) -> NonIdealDevice:
    """Make cells of ``shape`` (..., rows, cols) in their initial state, with their non-idealities.

    ``law``: current-voltage law of a device model that has none. Raises :class:`ConfigError` before
    anything is allocated where the cells do not fit into memory.
    """
    refuse_too_large(
        int(np.prod([int(length) for length in shape], dtype=object)),
        bytes_per_cell=8 * (_ARRAYS + sum(effect.arrays for effect in effects)),
        what=f"{' × '.join(map(str, shape))} cells",
        key="array",
    )
    try:
        made = device.kind.make(device.settings, shape, device_rng)
    except ConfigError as exc:
        raise exc.below("backends.sim.device") from None
    watch = RangeWatch(device.measured_range, shape) if device.measured_range else None
    chosen = make_effects(tuple(effects), shape, effects_rng)
    return NonIdealDevice(made, chosen, watch=watch, law=None if law is None else law.made())
