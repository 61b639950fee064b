"""Make a whole bench safe, from whatever state: bounded in time, past whatever does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from hwloop.errors import BackendError, ConnectionLost
from hwloop.station import GROUND, Station
from hwloop_drivers.opening import Slot, slots
from hwloop_drivers.roles import Instrument, SwitchMatrix

ROUND_S = 30.0  # for all sources together, then for all matrices: several time-outs of 5 s
ATTEMPTS, PAUSE_S = 3, 1.0  # a box with one socket needs a moment to see that the old link ended

Note = Callable[[str], None]


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


def make_safe_afresh(station: Station, slot: Slot) -> str:
    """Make one instrument safe over a new link; what was done. Raises :class:`BackendError`."""
    for attempt in range(ATTEMPTS):
        try:
            instrument = slot.open()
        except ConnectionLost:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_S)
            continue
        try:
            make_safe(station, slot.name, instrument)
            return f"{slot.name}: safe ({instrument.id})"
        finally:
            instrument.link.close()
    raise AssertionError("unreachable")


def make_all_safe(
    station: Station, names: list[str], make_one: Callable[[str], str], *, note: Note
) -> list[str]:
    """Every source at once, then every matrix; what was done, a line each.

    ``make_one(name)`` makes an instrument safe and says so. None waits for another of its kind,
    and none longer than :data:`ROUND_S`. Where a source does not answer the lines are grounded
    all the same, so that the array is not left at its voltage, and ``note`` is told. Raises
    :class:`hwloop.errors.BackendError` that names what may still be on or connected.
    """
    matrices = [name for name in names if name in station.matrices]
    sources = [name for name in names if name not in matrices]
    words, failures = _at_once(sources, make_one)
    left = [
        f"{name} may still be ON, switch it off by hand ({failures[name]})" for name in failures
    ]
    if failures and matrices:
        note(f"relays are moved although {', '.join(failures)} may still be on")
    more_words, more_failures = _at_once(matrices, make_one)
    left += [
        f"{name} may still connect lines to outputs ({exc})" for name, exc in more_failures.items()
    ]
    if left:
        done = "; ".join(words + more_words) or "nothing else"
        raise BackendError(f"NOT EVERYTHING IS SAFE: {'; '.join(left)}. Done: {done}")
    return words + more_words


def make_station_safe(
    station: Station, addresses: Mapping[str, str] | None = None, *, note: Note = lambda _: None
) -> list[str]:
    """Open every instrument afresh and make it safe; what was done, a line each.

    Goes on past an instrument that cannot be reached, and raises
    :class:`hwloop.errors.BackendError` with all that failed at the end.
    """
    by_name = {slot.name: slot for slot in slots(station, addresses)}
    return make_all_safe(
        station, list(by_name), lambda name: make_safe_afresh(station, by_name[name]), note=note
    )


def _at_once(
    names: list[str], make_one: Callable[[str], str]
) -> tuple[list[str], dict[str, Exception]]:
    """Each in a thread of its own: one that does not come back holds nobody up."""
    words: dict[str, str] = {}
    failures: dict[str, Exception] = {}

    def work(name: str) -> None:
        try:
            words[name] = make_one(name)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the others must be made safe
            failures[name] = exc

    threads = {
        name: threading.Thread(target=work, args=(name,), daemon=True, name=f"safe {name}")
        for name in names
    }
    for thread in threads.values():
        thread.start()
    end_s = time.monotonic() + ROUND_S
    for name, thread in threads.items():
        thread.join(timeout=max(end_s - time.monotonic(), 0.0))
        if thread.is_alive():
            failures[name] = BackendError(f"did not come back within {ROUND_S:g} s")
    return [words[n] for n in names if n in words and n not in failures], {
        n: failures[n] for n in names if n in failures
    }
