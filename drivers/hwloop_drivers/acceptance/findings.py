"""Findings of an acceptance test: what was promised, what was seen, and whether they agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hwloop.settings.units import format_quantity

Verdict = Literal["passed", "failed", "not witnessed", "refused"]
METER, OSCILLOSCOPE, DRIVER = "the bench's meter", "oscilloscope", "the instrument's answer"
SHOWN_DIGITS = 4


@dataclass(frozen=True)
class Finding:
    """One comparison; every part is text, as it stands in the record and on the page.

    ``test``: its kind. ``place``: the instrument and the line or cell. ``condition``: what was done
    there. ``source``: where the promise and its tolerance come from. ``witness``: who saw it.
    ``verdict``: "not witnessed" where nothing on the bench can see it, "refused" where the driver
    says that the instrument cannot do it.
    """

    test: str
    place: str
    condition: str
    expected: str
    seen: str
    tolerance: str
    source: str
    witness: str
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """Return whether a promise was broken."""
        return self.verdict == "failed"

    def __str__(self) -> str:
        """Return the finding as one line, for a terminal."""
        bound = f" ({self.tolerance})" if self.tolerance else ""
        return (
            f"{self.test}, {self.place}, {self.condition}: expected {self.expected}{bound},"
            f" seen {self.seen}"
        )


@dataclass(frozen=True)
class Promise:
    """One promise: its test, place and condition, its source, and who sees whether it is kept."""

    test: str
    place: str
    condition: str
    source: str
    witness: str

    def quantity(self, *, expected: float, seen: float, tolerance: float, unit: str) -> Finding:
        """Return the finding that a quantity is within its tolerance; NaN never is."""
        within = math.isfinite(seen) and abs(seen - expected) <= tolerance
        return self._finding(
            _shown(expected, unit),
            _shown(seen, unit),
            f"± {_shown(tolerance, unit)}",
            "passed" if within else "failed",
        )

    def state(self, *, expected: str, seen: str, kept: bool) -> Finding:
        """Return the finding that a state is as promised, or not."""
        return self._finding(expected, seen, "", "passed" if kept else "failed")

    def unseen(self, reason: str) -> Finding:
        """Return the finding that nothing on this bench can see whether it is kept."""
        return self._finding("", reason, "", "not witnessed")

    def refused(self, reason: str) -> Finding:
        """Return the finding that the driver refuses it, as it must where it cannot do it."""
        return self._finding("", reason, "", "refused")

    def broken_off(self, reason: str) -> Finding:
        """Return the finding that the bench raised an error where it should have done it."""
        return self._finding("no error", reason, "", "failed")

    def _finding(self, expected: str, seen: str, tolerance: str, verdict: Verdict) -> Finding:
        return Finding(
            test=self.test,
            place=self.place,
            condition=self.condition,
            expected=expected,
            seen=seen,
            tolerance=tolerance,
            source=self.source,
            witness=self.witness,
            verdict=verdict,
        )


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "no value (NaN)"
    return format_quantity(value, unit, digits=SHOWN_DIGITS)
