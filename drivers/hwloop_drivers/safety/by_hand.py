"""Making a station safe by hand: an emergency stop, which no other run's lock refuses."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hwloop.errors import BackendError, InstrumentInUse
from hwloop.station.station import Station
from hwloop_drivers.links.instrument_locks import HeldByWatchdog, Holder, hold, request_stop
from hwloop_drivers.safety.make_safe import Note, make_station_safe
from hwloop_drivers.station.configured import configured_instruments

END_S, POLL_S = 60.0, 0.5  # for a run that was told to stop, and between two looks


def make_safe_by_hand(
    station: Station, addresses: Mapping[str, str] | None = None, *, note: Note
) -> list[str]:
    """Make a station safe, whether or not a run is using it; return a line about each instrument.

    The instruments are locked meanwhile, so that no run begins. Where they are in use, ``note`` is
    called with who uses them, that run is told to stop, and they are made safe at once, over links
    of their own. When the run has ended they are made safe again, since it may have been about to
    switch something on. The watchdog of a run that has ended switches nothing on: where it does not
    end, ``note`` is called with what to do about it. Raises :class:`hwloop.errors.BackendError` as
    :func:`hwloop_drivers.safety.make_safe.make_station_safe`, and where the run has not ended
    within :data:`END_S`.
    """
    by_name = {one.name: one.lock_address for one in configured_instruments(station, addresses)}
    holder = Holder("an emergency stop (hwloop safe)", station.name)
    try:
        with hold(by_name, holder):
            return make_station_safe(station, addresses, note=note)
    except HeldByWatchdog as exc:
        note(f"{exc}. The bench is made safe at once")
    except InstrumentInUse as exc:
        note(f"{exc}. It is told to stop, and the bench made safe at once")
    return _stop_and_make_safe(station, addresses, by_name, holder, note)


def _stop_and_make_safe(
    station: Station,
    addresses: Mapping[str, str] | None,
    by_name: Mapping[str, str],
    holder: Holder,
    note: Note,
) -> list[str]:
    try:
        request_stop(by_name.values())
    except BackendError as exc:
        note(str(exc))
    try:
        make_station_safe(station, addresses, note=note)
    except BackendError as exc:  # an instrument may have room for one link, which is the run's
        note(f"{exc}. Tried again when the run has ended")
    end_s = time.monotonic() + END_S
    while True:
        try:
            with hold(by_name, holder):
                return make_station_safe(station, addresses, note=note)
        except HeldByWatchdog as exc:
            if exc.is_stopped or time.monotonic() > end_s:
                break
        except InstrumentInUse as exc:
            if time.monotonic() > end_s:
                raise InstrumentInUse(
                    f"it has not ended within {END_S:g} s, and may switch outputs on again: {exc}"
                ) from exc
        time.sleep(POLL_S)
    with hold(by_name, holder, beside_watchdog=True):
        done = make_station_safe(station, addresses, note=note)
    note("the bench is safe, but no run can begin until that watchdog has ended")
    return done
