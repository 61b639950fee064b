"""Make a whole bench safe, from whatever state: bounded in time, past whatever does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hwloop.errors import BackendError, ConnectionLost, UnexpectedReply
from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop_drivers.roles import Instrument, PulseGenerator, SwitchMatrix
from hwloop_drivers.station.configured import Slot, slots

ROUND_S = 30.0  # for all sources together, then for all matrices: several time-outs of 5 s
# A box with one socket needs a moment to see that the old link has ended; on a serial port the
# answer to the last question of the old link may still be on its way.
ATTEMPTS, PAUSE_S = 3, 1.0
GRACE_S = 1.0  # for the sources that hold 0 V when off, before one that lets go of its line

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


def make_safe_afresh(station: Station, slot: Slot, *, identity: str = "") -> str:
    """Make one instrument safe over a new link; what was done. Raises :class:`BackendError`.

    ``identity``: whom the link must reach, where it is known: a port may be another's by now.
    """
    for attempt in range(ATTEMPTS):
        try:
            instrument = slot.open()
        except (ConnectionLost, UnexpectedReply):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_S)
            continue
        try:
            if identity and instrument.id != identity:
                raise UnexpectedReply(
                    f"{slot.address}: {identity!r} was there, now {instrument.id!r} is"
                )
            make_safe(station, slot.name, instrument)
            return f"{slot.name}: safe ({instrument.id})"
        finally:
            instrument.link.close()
    raise AssertionError("unreachable")


def let_go_when_off(instruments: Mapping[str, Instrument]) -> list[str]:
    """Those that disconnect their lines when they are off: generators of pulses."""
    return [
        name
        for name, instrument in instruments.items()
        if any(isinstance(out, PulseGenerator) for out in instrument.outputs().values())
    ]


def make_all_safe(
    station: Station,
    names: list[str],
    make_one: Callable[[str], str],
    *,
    note: Note,
    last: Sequence[str] = (),
) -> list[str]:
    """Every source at once, then every matrix; what was done, a line each.

    ``last``: sources that leave their lines floating when off: they follow the others, or
    :data:`GRACE_S`, so that no line floats beside one under voltage.

    ``make_one(name)`` makes an instrument safe and says so. None waits for another of its kind,
    and none longer than :data:`ROUND_S`. Where a source does not answer the lines are grounded
    all the same, so that the array is not left at its voltage, and ``note`` is told. Raises
    :class:`hwloop.errors.BackendError` that names what may still be on or connected.
    """
    matrices = [name for name in names if name in station.matrices]
    sources = [name for name in names if name not in matrices]
    words, failures = _at_once(sources, make_one, last)
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
        station,
        list(by_name),
        lambda name: make_safe_afresh(station, by_name[name]),
        note=note,
        last=let_go_when_off({name: slot.dry_run() for name, slot in by_name.items()}),
    )


def _at_once(
    names: list[str], make_one: Callable[[str], str], last: Sequence[str] = ()
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
    began_s = time.monotonic()
    first = [thread for name, thread in threads.items() if name not in last]
    for thread in first:
        thread.start()
    if len(first) < len(threads):
        _join(first, began_s + GRACE_S)
        for name in set(threads) & set(last):
            threads[name].start()
    _join(threads.values(), began_s + ROUND_S)
    for name, thread in threads.items():
        if thread.is_alive():
            failures[name] = BackendError(f"did not come back within {ROUND_S:g} s")
    return [words[n] for n in names if n in words and n not in failures], {
        n: failures[n] for n in names if n in failures
    }


def _join(threads: Iterable[threading.Thread], end_s: float) -> None:
    for thread in threads:
        thread.join(timeout=max(end_s - time.monotonic(), 0.0))
