"""Distributions of measured and emulated values, and the distance between them."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.statistics import ks_distance, ks_expected
from hwloop.types import FloatArray

REPEATS = 50
"""Emulated trains for each held-out one, from its first value."""


@dataclass(frozen=True)
class Distribution:
    """Values of one quantity, siemens: emulated, held out, and of the half that was fitted."""

    emulated_conductance_s: FloatArray
    held_out_conductance_s: FloatArray
    fitted_conductance_s: FloatArray

    def figures(self) -> dict[str, float]:
        """Compute KS distances to the held-out half, and those of equal distributions."""
        expected, most = ks_expected(
            self.emulated_conductance_s.size, self.held_out_conductance_s.size
        )
        return {
            "ks_model": ks_distance(self.emulated_conductance_s, self.held_out_conductance_s),
            "ks_other_half": ks_distance(self.fitted_conductance_s, self.held_out_conductance_s),
            "ks_expected": expected,
            "ks_95": most,
        }
