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
from hwloop.errors import ConfigError
from hwloop.messages import cell_names
from hwloop.settings.units import format_quantity
from hwloop.types import FloatArray
from hwloop_sim.calibration.file import Calibration, MeasuredRange, load_calibration

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
        twin = {"device": {"model": "pulse_table", "calibration": reference}}
    device, of_file = own.get("device"), twin.get("device")
    if of_file and isinstance(device, Mapping):
        same = device.get("model", of_file["model"]) == of_file["model"]
        own["device"] = over(of_file, device) if same else device
    return {**twin, **own}


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
        beyond = (conductance_s < self._range.low_s) | (conductance_s > self._range.high_s)
        new = beyond & ~self._reported
        self._reported |= beyond
        if not new.any():
            return pulses
        some = ", ".join(cell_names(new)) + (", …" if new.sum() > 3 else "")
        span = f"{self._range.low_s:.4g} to {self._range.high_s:.4g} S"
        message = f"extrapolates beyond the measured range, {span}: {new.sum()}: {some}"
        return [*pulses, Event("warning", message)]


def _outside(value: float, low: float, high: float, unit: str) -> str:
    span = f"{format_quantity(low, unit)} to {format_quantity(high, unit)}"
    return f"a pulse of {format_quantity(value, unit)}; the calibration holds for {span}"
