"""A device model, or a whole twin, with the parameters of a calibration, and its measured range.

In a procedure: ``device: {model: soft_bounds, calibration: my_cell.yaml}``, or the whole twin:
``backends.sim: {calibration: NAME}``; a shipped name or a path, and keys beside it go before those
of the file. A cell that leaves the range of conductance that was measured is said once, as an
event: beyond it the model extrapolates.
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
"""As :data:`hwloop_sim.cells.known_pulses.SAME`: no bench applies a pulse more exactly."""


def merged(model: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with those of the file that ``calibration`` names, and ``measured_range``.

    Raises :class:`ConfigError` where there is no such calibration, or it is of another model.
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
    """What a file says with what a procedure says before it, inside mappings too.

    A distribution is a whole: none of its keys belongs to another one.
    """
    result = {**of_file, **own}
    for key, value in own.items():
        inner = of_file.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            result[key] = dict(value) if "distribution" in value else over(inner, value)
    return result


def with_model(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of a device with the ``model`` that its calibration is of, if it names none."""
    if "model" in settings:
        return dict(settings)
    model = _loaded(str(settings["calibration"]), folder).model
    return {**({} if model is None else {"model": model}), **settings}


def whole_twin(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What stands below ``backends.sim``, with what the file says where nothing is given.

    A device beside it that names no model, or the file's, changes single parameters; one of
    another model goes before the file's device as a whole.
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
    """Says once of each cell that it has left the measured range, and once of a strange pulse."""

    def __init__(self, measured: MeasuredRange, shape: tuple[int, ...]) -> None:
        self._range = measured
        self._said = np.zeros(shape, dtype=np.bool_)
        self._pulse_said = False
        self._pulse_events: list[Event] = []

    def note(self, pulse: PulseMap) -> None:
        """Remember a pulse whose voltage or width was not measured."""
        if self._pulse_said or not (words := self._strange(pulse)):
            return
        self._pulse_said = True
        self._pulse_events.append(Event("warning", f"beyond what was measured: {words}"))

    def _strange(self, pulse: PulseMap) -> str:
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
        """Warnings of strange pulses, and of the cells that are outside now and were not before."""
        strange, self._pulse_events = self._pulse_events, []
        beyond = (conductance_s < self._range.low_conductance_s) | (
            conductance_s > self._range.high_conductance_s
        )
        new = beyond & ~self._said
        self._said |= beyond
        if not new.any():
            return strange
        some = ", ".join(cell_names(new)) + (", …" if new.sum() > 3 else "")
        span = f"{self._range.low_conductance_s:.4g} to {self._range.high_conductance_s:.4g} S"
        words = f"extrapolates beyond the measured range, {span}: {new.sum()}: {some}"
        return [*strange, Event("warning", words)]


def _outside(value: float, low: float, high: float, unit: str) -> str:
    span = f"{format_quantity(low, unit)} to {format_quantity(high, unit)}"
    return f"a pulse of {format_quantity(value, unit)}; the calibration holds for {span}"
