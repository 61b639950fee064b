"""The range of conductance that an array is used in: written out, or that of a calibration.

``array.range: {low_conductance_s: 10 uS, high_conductance_s: 110 uS}``, or ``array.range:
my_array.yaml``, a calibration, shipped or your own, for the range that its data covered.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.units import PositiveSiemens


class ConductanceRange(Settings):
    """Range of conductance from ``low_conductance_s`` to ``high_conductance_s``, siemens."""

    low_conductance_s: PositiveSiemens
    high_conductance_s: PositiveSiemens

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, str):
            return data
        from hwloop.datasets.calibrations import covered_range

        try:
            return covered_range(data, folder_of(info))
        except ConfigError as exc:
            raise ValueError(str(exc)) from None

    @model_validator(mode="after")
    def _ordered(self) -> ConductanceRange:
        if self.low_conductance_s >= self.high_conductance_s:
            raise ValueError(
                f"low_conductance_s {self.low_conductance_s:g} must be below high_conductance_s"
                f" {self.high_conductance_s:g}"
            )
        return self
