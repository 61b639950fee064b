"""Device models that cover one pulse a direction, measured or assumed, and refuse every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from pydantic import model_validator

from hwloop.array.operations import PulseMap
from hwloop.errors import Unsupported
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, Volt, format_quantity
from hwloop_sim.cells.device import LARGE

SAME = 1e-2
"""Relative difference below which pulses are equal: no bench applies them more exactly."""


class KnownPulse(Settings):
    """A pulse: its amplitude, signed, row above column, and its width."""

    amplitude_v: Volt
    width_s: PositiveSecond

    @model_validator(mode="after")
    def _not_zero(self) -> KnownPulse:
        if self.amplitude_v == 0:
            raise ValueError("amplitude_v 0 is no pulse")
        return self

    def of_width(self, width_s: float) -> bool:
        """Return whether a width is that of this pulse."""
        return abs(width_s - self.width_s) <= SAME * self.width_s

    def resembles(self, other: KnownPulse) -> bool:
        """Return whether a pulse could be taken for either of the two."""
        near_v = SAME * (abs(self.amplitude_v) + abs(other.amplitude_v))
        near_s = SAME * (self.width_s + other.width_s)
        return (
            abs(self.amplitude_v - other.amplitude_v) <= near_v
            and abs(self.width_s - other.width_s) <= near_s
        )

    def __str__(self) -> str:
        return f"{format_quantity(self.amplitude_v, 'V')} and {format_quantity(self.width_s, 's')}"


class UnknownPulse(Unsupported):
    """A pulse that a model does not cover which knows the effect of single pulses alone."""


def refuse_unknown(pulse: PulseMap, known: Sequence[KnownPulse], *, source: str) -> None:
    """Raise :class:`UnknownPulse` where ``pulse`` is none of the known ones.

    ``source``: beginning of the message, such as "soft_bounds: the response was given".
    """
    of_width = [one for one in known if one.of_width(pulse.width_s)]
    if pulse.gate_v is None and _all_among(pulse.amplitude_v, of_width):
        return
    if pulse.highest_gate_v is not None:
        _refuse(source, known, f"a gate at {format_quantity(pulse.highest_gate_v, 'V')}")
    asked_v = pulse.amplitude_v[pulse.addressed]
    unknown_v = asked_v[~_among(asked_v, known)]
    if unknown_v.size:
        _refuse(source, known, format_quantity(float(unknown_v[0]), "V"))
    if not _among(asked_v, of_width).all() or not of_width:
        _refuse(source, known, format_quantity(pulse.width_s, "s"))


def _all_among(amplitude_v: np.ndarray, known: Sequence[KnownPulse]) -> bool:
    """Return whether every pulse of a map is a known one; the quick test for the common case."""
    if amplitude_v.size >= LARGE and known:
        from hwloop_sim.compiled import kernels

        centres_v = np.array([one.amplitude_v for one in known])
        return kernels.all_near(amplitude_v, centres_v, SAME * np.abs(centres_v))
    near = amplitude_v == 0
    for one in known:
        near |= np.abs(amplitude_v - one.amplitude_v) <= SAME * abs(one.amplitude_v)
    return bool(near.all())


def _among(amplitude_v: np.ndarray, known: Sequence[KnownPulse]) -> np.ndarray:
    found = np.zeros(amplitude_v.shape, dtype=np.bool_)
    for one in known:
        found |= np.isclose(amplitude_v, one.amplitude_v, rtol=SAME, atol=0)
    return found


def _refuse(source: str, known: Sequence[KnownPulse], asked: str) -> NoReturn:
    pulses = ", or ".join(str(one) for one in known)
    raise UnknownPulse(f"{source} with pulses of {pulses}; it does not cover {asked}")
