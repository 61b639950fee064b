"""Make a whole bench safe, from whatever state, with links of its own."""

from __future__ import annotations

from collections.abc import Mapping

from hwloop.errors import BackendError
from hwloop.station import GROUND, Station
from hwloop_drivers.opening import slots
from hwloop_drivers.roles import Instrument, SwitchMatrix


def ground_channels(station: Station, matrix: str) -> list[str]:
    """The channels of a matrix that ground the lines."""
    return [
        wire.channel
        for wire in station.wires()
        if wire.matrix == matrix and wire.output == GROUND and wire.channel
    ]


def make_safe(station: Station, name: str, instrument: Instrument) -> None:
    """One instrument: outputs at 0 V and off; a matrix grounds every line, then opens the rest."""
    if not isinstance(instrument, SwitchMatrix):
        instrument.safe_state()
        return
    to_ground = ground_channels(station, name)
    instrument.close_channels(to_ground)
    rest = sorted(instrument.closed - set(to_ground))
    if rest:
        instrument.open_channels(rest)


def sources_first(station: Station, names: list[str]) -> list[str]:
    """The order of safety: outputs to 0 V and off before any relay moves."""
    return sorted(names, key=lambda name: name in station.matrices)


def make_station_safe(station: Station, addresses: Mapping[str, str] | None = None) -> list[str]:
    """Open every instrument afresh and make it safe; what was done, a line each.

    Goes on past an instrument that cannot be reached, and raises
    :class:`hwloop.errors.BackendError` with all that failed at the end.
    """
    words, failures = [], []
    by_name = {slot.name: slot for slot in slots(station, addresses)}
    for name in sources_first(station, list(by_name)):
        try:
            instrument = by_name[name].open()
            try:
                make_safe(station, name, instrument)
                words.append(f"{name}: safe ({instrument.id})")
            finally:
                instrument.link.close()
        except BackendError as exc:
            failures.append(f"{name}: {exc}")
    if failures:
        raise BackendError("not everything is safe: " + "; ".join(failures))
    return words
