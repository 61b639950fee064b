"""A device model with the parameters of a calibration file, and its measured range.

In a procedure: ``device: {model: soft_bounds, calibration: my_cell.yaml}``; keys beside them go
before those of the file. A cell that leaves the range of conductance that was measured is said
once, as an event: beyond it the model extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from hwloop.backend import Event
from hwloop.config import parse_yaml
from hwloop.errors import ConfigError
from hwloop.naming import cell_names
from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.units import PositiveSiemens

FORMAT = "hwloop-calibration"
FORMAT_VERSION = 1


class MeasuredRange(Settings):
    """Between which conductances the device was measured, siemens."""

    low_s: PositiveSiemens
    high_s: PositiveSiemens

    @model_validator(mode="after")
    def _ordered(self) -> MeasuredRange:
        if self.low_s >= self.high_s:
            raise ValueError(f"low_s {self.low_s:g} must be below high_s {self.high_s:g}")
        return self


def merged(model: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with those of the file that ``calibration`` names, and ``measured_range``.

    Raises :class:`ConfigError` where the file is none, or is of another model.
    """
    path = folder / str(settings["calibration"])
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}", key="calibration") from None
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}", key="calibration") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: not a calibration ({FORMAT}); `hwloop calibrate` makes one", key="calibration"
        )
    if data.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: format_version {data.get('format_version')!r}: this hwloop reads"
            f" {FORMAT_VERSION}",
            key="calibration",
        )
    if data.get("model") != model:
        raise ConfigError(f"{path}: is of {data.get('model')!r}, not {model!r}", key="calibration")
    try:
        validity = {key: data["validity"][key] for key in ("low_s", "high_s")}
        parameters = dict(data["parameters"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{path}: lacks parameters, or validity with low_s and high_s", key="calibration"
        ) from None
    own = {key: value for key, value in settings.items() if key != "calibration"}
    return {**parameters, "measured_range": validity, **own}


class RangeWatch:
    """Says once of each cell that it has left the measured range."""

    def __init__(self, measured: MeasuredRange, shape: tuple[int, ...]) -> None:
        self._range = measured
        self._said = np.zeros(shape, dtype=np.bool_)

    def events(self, conductance_s: FloatArray) -> list[Event]:
        """A warning with the cells that are outside now and were not before."""
        beyond = (conductance_s < self._range.low_s) | (conductance_s > self._range.high_s)
        new = beyond & ~self._said
        self._said |= beyond
        if not new.any():
            return []
        some = ", ".join(cell_names(new)) + (", …" if new.sum() > 3 else "")
        span = f"{self._range.low_s:.4g} to {self._range.high_s:.4g} S"
        return [
            Event("warning", f"extrapolates beyond the measured range, {span}: {new.sum()}: {some}")
        ]
