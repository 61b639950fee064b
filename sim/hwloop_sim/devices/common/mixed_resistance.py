"""A film that is partly doped: R = R_on x + R_off (1 − x), the two parts in series."""

from __future__ import annotations

from typing import Any


def mixed_resistance_ohm(x: Any, p: Any) -> Any:
    """Return the resistance of one cell, or of all, ohms."""
    return p.r_on_ohm * x + p.r_off_ohm * (1.0 - x)


def mixed_conductance_s(x: Any, p: Any) -> Any:
    """Return the inverse of the resistance, siemens."""
    return 1.0 / mixed_resistance_ohm(x, p)


def mixed_state(conductance_s: Any, p: Any) -> Any:
    """Return the state x of a conductance, siemens."""
    return (p.r_off_ohm - 1.0 / conductance_s) / (p.r_off_ohm - p.r_on_ohm)
