"""Effects that a record shows besides the device model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SURE = 2.0
"""Standard deviations from 0 below which an effect is not determined."""


@dataclass(frozen=True)
class FoundEffect:
    """An effect found in a record.

    ``settings``: as a procedure has them below ``effects``. ``uncertainty``: one standard
    deviation by name. ``source``: record, step and range, for the user.
    """

    settings: dict[str, Any]
    uncertainty: dict[str, float]
    source: str

    def summary(self) -> str:
        """Return the line that ``hwloop calibrate`` prints of the effect."""
        settings = ", ".join(
            f"{name} {value:.4g}"
            + (f" ± {self.uncertainty[name]:.2g}" if name in self.uncertainty else "")
            for name, value in self.settings.items()
            if name != "effect"
        )
        return f"effect {self.settings['effect']}: {settings}; {self.source}"
