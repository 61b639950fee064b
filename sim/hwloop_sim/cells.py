"""The cells of an emulated population: a device model chosen by name, under effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop import plugins
from hwloop.errors import ConfigError
from hwloop.settings import Settings
from hwloop_sim.affected import AffectedDevice
from hwloop_sim.cell_law import CellLawSettings
from hwloop_sim.device import DeviceKind
from hwloop_sim.effect import ChosenEffect, make_effects
from hwloop_sim.memory import refuse_too_large

_ARRAYS = 12
"""Arrays of float64 that a device model, an operation on it and the guard need at a time."""


@dataclass(frozen=True)
class ChosenDevice:
    """A device model with its validated settings."""

    kind: DeviceKind[Any]
    settings: Settings

    def dump(self) -> dict[str, Any]:
        """As it stands in a procedure."""
        return {"model": self.kind.name, **self.settings.model_dump(mode="json")}


def _choose(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        raise ValueError("expected a mapping whose key 'model' names a device model")
    settings = {key: item for key, item in value.items() if key != "model"}
    try:
        kind: DeviceKind[Any] = plugins.load(plugins.DEVICES, value["model"])
        folder = Path((info.context or {}).get("folder", "."))
        return ChosenDevice(kind, kind.settings.parse(settings, folder=folder))
    except ConfigError as exc:
        raise exc.below("device") from None


DeviceChoice = Annotated[
    InstanceOf[ChosenDevice], BeforeValidator(_choose), PlainSerializer(ChosenDevice.dump)
]
"""A device model in a procedure: ``{model: NAME, …}``."""


def make_cells(
    device: ChosenDevice,
    effects: Sequence[ChosenEffect],
    shape: tuple[int, ...],
    *,
    device_rng: np.random.Generator,
    effects_rng: np.random.Generator,
    law: CellLawSettings | None = None,
) -> AffectedDevice:
    """Cells of ``shape`` (..., rows, cols) in their initial state.

    Raises :class:`ConfigError` where they do not fit into memory, before any is made.
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
    bent = None if law is None else law.made()
    return AffectedDevice(made, make_effects(tuple(effects), shape, effects_rng), bent)
