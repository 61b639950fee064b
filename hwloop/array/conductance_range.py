"""The range of conductance that an array is used in: written out, or that of its calibration.

``array.range: {low_conductance_s: 10 uS, high_conductance_s: 110 uS}``, or ``array.range:
my_array.yaml``, a calibration, shipped or of one's own: then the range is the one its data covered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSiemens


class Span(Settings):
    """From ``low_conductance_s`` to ``high_conductance_s``."""

    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, str):
            return data
        return _of_calibration(data, Path((info.context or {}).get("folder", ".")))

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low_conductance_s >= self.high_conductance_s:
            raise ValueError(
                f"low_conductance_s {self.low_conductance_s:g} must be below high_conductance_s"
                f" {self.high_conductance_s:g}"
            )
        return self


def _of_calibration(reference: str, folder: Path) -> dict[str, Any]:
    """Return the ends of the range that the data of a calibration covered, siemens."""
    from hwloop.datasets.calibrations import read_calibration

    try:
        validity = read_calibration(reference, folder).get("validity")
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    ends = {key: (validity or {}).get(key) for key in ("low_conductance_s", "high_conductance_s")}
    if None in ends.values():
        raise ValueError(
            f"{reference} does not say which conductances its data covered"
            " (validity.low_conductance_s and"
            " high_conductance_s): write the range out"
        )
    return ends
