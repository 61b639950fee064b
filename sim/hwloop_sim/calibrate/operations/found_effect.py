"""An effect that a record shows beside the device model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SURE = 2.0
"""Deviations from 0: below it an effect is not determined."""


@dataclass(frozen=True)
class FoundEffect:
    """``settings``: as a procedure has them below ``effects``; ``uncertainty`` by name."""

    settings: dict[str, Any]
    uncertainty: dict[str, float]
    source: str

    def dump(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {**self.settings}
