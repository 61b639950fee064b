"""The range of conductance that an array is used in: written out, or that of its calibration.

``array.range: {low_s: 10 uS, high_s: 110 uS}``, or ``array.range: my_array.yaml``, a calibration,
shipped or of one's own: then the range is the one its data covered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSiemens


class Span(Settings):
    """From ``low_s`` to ``high_s``."""

    low_s: PositiveSiemens
    high_s: PositiveSiemens

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, str):
            return data
        return _of_calibration(data, Path((info.context or {}).get("folder", ".")))

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low_s >= self.high_s:
            raise ValueError(f"low_s {self.low_s:g} must be below high_s {self.high_s:g}")
        return self


def _of_calibration(reference: str, folder: Path) -> dict[str, Any]:
    """Return the ends of the range that the data of a calibration covered, siemens."""
    from hwloop.datasets.calibrations import read_calibration

    try:
        validity = read_calibration(reference, folder).get("validity")
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    ends = {key: (validity or {}).get(key) for key in ("low_s", "high_s")}
    if None in ends.values():
        raise ValueError(
            f"{reference} does not say which conductances its data covered (validity.low_s and"
            " high_s): write the range out"
        )
    return ends
