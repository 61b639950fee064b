"""Settings that drivers read back: their units, and whether they are still as they were."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hwloop.errors import InstrumentFault

READ_BACK_UNITS = {
    "aperture_s": "s",
    "compliance_current_a": "A",
    "limit_high_v": "V",
    "limit_low_v": "V",
    "load_ohm": "ohm",
    "source_range_v": "V",
}
"""The unit of each setting that drivers read back; a setting not listed is shown without a unit."""


def refuse_changed(
    instrument: str, before: Mapping[str, object], now: Mapping[str, object]
) -> None:
    """Raise :class:`hwloop.errors.InstrumentFault` where a setting is not as it was.

    ``before``, ``now``: what ``Instrument.read_back`` gave when the run began, and gives now.
    """
    for setting, old in before.items():
        new = now.get(setting)
        same = old == new
        if isinstance(old, float) and isinstance(new, float):
            same = math.isclose(old, new, rel_tol=1e-6)
        if not same:
            raise InstrumentFault(
                f"{instrument}: {setting} was {old} when the run began and is {new} now; something"
                " else has changed it (front panel, another program?), and the reads and pulses"
                " since the last look at the lines are not believed"
            )


def units_of_read_back(instrument: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Return the units of what ``Instrument.read_back`` gave, by path below the identity."""
    return {
        f"{instrument}.{name}": READ_BACK_UNITS[setting]
        for name in settings
        if (setting := name.rpartition(".")[2]) in READ_BACK_UNITS
    }
