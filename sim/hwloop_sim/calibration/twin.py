"""Device models, and whole twins, with the parameters of a calibration and its measured range.

In a procedure: ``device: {model: soft_bounds, calibration: my_cell.yaml}``, or the whole twin:
``backends.sim: {calibration: NAME}``; a shipped name or a path, and keys beside it override those
of the file. A cell that leaves the measured range of conductance is reported once, as an event:
outside it the model extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.datasets.calibrations import HDF5_SUFFIXES, YAML_SUFFIXES, read_calibration
from hwloop.datasets.files import format_of
from hwloop.datasets.measurement import FORMAT as DATASET
from hwloop.errors import ConfigError
from hwloop.messages import cell_names
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.calibration.file import (
    BESIDE_DEVICE,
    TABLE_MODEL,
    Calibration,
    MeasuredRange,
    load_calibration,
)

_SUFFIXES = (*HDF5_SUFFIXES, *YAML_SUFFIXES)

_SAME = 1e-2
"""Relative tolerance, as :data:`hwloop_sim.cells.known_pulses.SAME`."""


def merged(model: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings merged with those of the file named by ``calibration``.

    The result holds ``measured_range`` too. Raises :class:`ConfigError` where there is no such
    calibration, or it is of another model.
    """
    reference = str(settings["calibration"])
    found = _loaded(reference, folder)
    if found.model != model:
        raise ConfigError(f"{reference}: is of {found.model!r}, not {model!r}", key="calibration")
    own = {key: value for key, value in settings.items() if key != "calibration"}
    if not isinstance(found, Calibration):  # a pulse table, of which no model has parameters
        raise ConfigError(f"{reference}: a table, not parameters of {model!r}", key="calibration")
    return over(found.settings(), own)


def over(of_file: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file, overridden by a procedure's own, inside mappings too.

    A distribution is replaced entirely: none of its keys belongs to another one.
    """
    result = {**of_file, **own}
    for key, value in own.items():
        inner = of_file.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            result[key] = dict(value) if "distribution" in value else over(inner, value)
    return result


def with_model(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a device's settings with the ``model`` of its calibration, if they name none."""
    if "model" in settings:
        return dict(settings)
    model = _loaded(str(settings["calibration"]), folder).model
    return {**({} if model is None else {"model": model}), **settings}


def whole_twin(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings below ``backends.sim``, completed from the calibration file.

    A device beside the file that names no model, or the file's, changes single parameters; one of
    another model replaces the file's device entirely.
    """
    reference = str(settings["calibration"])
    own = {key: value for key, value in settings.items() if key != "calibration"}
    found = _loaded(reference, folder)
    if isinstance(found, Calibration):
        twin = found.twin()
    else:
        twin = {"device": {"model": TABLE_MODEL, "calibration": reference}}
    device, of_file = own.get("device"), twin.get("device")
    if of_file and isinstance(device, Mapping):
        same = device.get("model", of_file["model"]) == of_file["model"]
        own["device"] = over(of_file, device) if same else device
    return {**twin, **own}


def in_place_of_device(section: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """Return the emulator's section with a calibration in the place of its device.

    ``section``: the emulator's settings as a procedure has them. ``reference``: a shipped name, or
    a path relative to the working directory. A device of the same model keeps its other settings,
    such as the initial states; a device of another model is replaced entirely, and so are effects,
    cell law and read noise where the calibration has its own. Raises :class:`ConfigError` where
    there is no such calibration, or ``reference`` is a recording.
    """
    model, keys = _model_and_keys(reference)
    path = Path(reference)
    # A shipped name may have a dot in it, as 2.8V has.
    named = path.resolve().as_posix() if path.suffix in _SUFFIXES else reference
    kept = {k: v for k, v in section.items() if k not in ("calibration", "device", *keys)}
    device = section.get("device")
    if model is None and "device" in section:  # effects only: they act on any device
        kept["device"] = device
    elif isinstance(device, Mapping) and device.get("model") == model:
        kept["device"] = {key: value for key, value in device.items() if key != "calibration"}
    return {"calibration": named, **kept}


def _model_and_keys(reference: str) -> tuple[str | None, list[str]]:
    """Return the device model of a calibration, and the keys of the section that it sets."""
    path = Path(reference)
    if path.suffix not in HDF5_SUFFIXES:
        _, found = read_calibration(reference, Path.cwd())
    elif not path.is_file():
        raise ConfigError(f"calibration {path}: there is no such file")
    elif format_of(path) == DATASET:
        found = {}
    else:
        raise ConfigError(
            f"{reference} is a recording: `hwloop calibrate {reference} -o twin.yaml` makes a"
            " calibration of it"
        )
    model = TABLE_MODEL if found.get("format") is None else found.get("model")
    return model, [key for key in BESIDE_DEVICE if found.get(key) is not None]


def _loaded(reference: str, folder: Path) -> Any:
    try:
        return load_calibration(reference, folder)
    except ConfigError as exc:
        raise ConfigError(str(exc), key="calibration") from None


class RangeWatch:
    """A watch that reports each cell outside the measured range once, and one unmeasured pulse."""

    def __init__(self, measured: MeasuredRange, shape: tuple[int, ...]) -> None:
        self._range = measured
        self._reported = np.zeros(shape, dtype=np.bool_)
        self._pulse_reported = False
        self._pulse_events: list[Event] = []

    def note(self, pulse: PulseMap) -> None:
        """Record a pulse whose voltage or width was not measured, for the next events."""
        if self._pulse_reported or not (message := self._unmeasured(pulse)):
            return
        self._pulse_reported = True
        self._pulse_events.append(Event("warning", f"beyond what was measured: {message}"))

    def _unmeasured(self, pulse: PulseMap) -> str:
        span = self._range
        if span.low_v is not None and span.high_v is not None:
            margin_v = _SAME * max(abs(span.low_v), abs(span.high_v))
            for volts in (float(pulse.amplitude_v.min()), float(pulse.amplitude_v.max())):
                if not span.low_v - margin_v <= volts <= span.high_v + margin_v:
                    return _outside(volts, span.low_v, span.high_v, "V")
        if span.shortest_s is not None and span.longest_s is not None:
            least_s, most_s = span.shortest_s * (1 - _SAME), span.longest_s * (1 + _SAME)
            if not least_s <= pulse.width_s <= most_s:
                return _outside(pulse.width_s, span.shortest_s, span.longest_s, "s")
        return ""

    def events(self, conductance_s: FloatArray) -> list[Event]:
        """Return warnings of unmeasured pulses, and of cells that have left the range."""
        pulses, self._pulse_events = self._pulse_events, []
        beyond = (conductance_s < self._range.low_conductance_s) | (
            conductance_s > self._range.high_conductance_s
        )
        new = beyond & ~self._reported
        self._reported |= beyond
        if not new.any():
            return pulses
        some = ", ".join(cell_names(new)) + (", …" if new.sum() > 3 else "")
        span = f"{self._range.low_conductance_s:.4g} to {self._range.high_conductance_s:.4g} S"
        message = f"extrapolates beyond the measured range, {span}: {new.sum()}: {some}"
        return [*pulses, Event("warning", message)]


def _outside(value: float, low: float, high: float, unit: str) -> str:
    span = f"{format_quantity(low, unit)} to {format_quantity(high, unit)}"
    return f"a pulse of {format_quantity(value, unit)}; the calibration holds for {span}"
