"""Make a bench safe from any state: bounded in time, going on past instruments without answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hwloop.errors import BackendError, ConnectionLost, HwloopError, UnexpectedReply
from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop_drivers.roles import Instrument, PulseGenerator, SwitchMatrix
from hwloop_drivers.station.configured import ConfiguredInstrument, configured_instruments

ROUND_S = 30.0  # for all sources together, then for all matrices: several time-outs of 5 s
# An instrument with one socket needs a moment to see that the old link has ended; on a serial port
# the answer to the last question of the old link may still arrive.
ATTEMPTS, PAUSE_S = 3, 1.0
GRACE_S = 1.0  # head start of the sources that hold 0 V when off, before those that disconnect

Note = Callable[[str], None]


def ground_channels(station: Station, matrix: str) -> list[str]:
    """Return the channels of a matrix that connect lines to ground."""
    return [
        wire.channel
        for wire in station.wires()
        if wire.matrix == matrix and wire.output == GROUND and wire.channel
    ]


def make_safe(station: Station, name: str, instrument: Instrument) -> None:
    """Switch an instrument's outputs to 0 V and off.

    A matrix grounds every line, then opens all other channels.
    """
    if not isinstance(instrument, SwitchMatrix):
        instrument.safe_state()
        return
    to_ground = ground_channels(station, name)
    instrument.close_channels(to_ground)
    rest = sorted(instrument.closed - set(to_ground))
    if rest:
        instrument.open_channels(rest)


def sources_first(station: Station, names: list[str]) -> list[str]:
    """Return the names with matrices last: outputs are at 0 V and off before any relay moves."""
    return sorted(names, key=lambda name: name in station.matrices)


def reconnect_and_make_safe(
    station: Station, configured: ConfiguredInstrument, *, identity: str = ""
) -> str:
    """Make one instrument safe over a new link; return what was done, in a line.

    ``identity``: the answer that the instrument must give to the question for it, "" for any: a
    port may be another's by now. Raises :class:`hwloop.errors.BackendError` after
    :data:`ATTEMPTS` attempts.
    """
    for attempt in range(ATTEMPTS):
        try:
            instrument = configured.open()
        except (ConnectionLost, UnexpectedReply):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_S)
            continue
        try:
            if identity and instrument.id != identity:
                raise UnexpectedReply(
                    f"{configured.address}: {identity!r} was there, now {instrument.id!r} is"
                )
            make_safe(station, configured.name, instrument)
            return f"{configured.name}: safe ({instrument.id})"
        finally:
            instrument.link.close()
    raise AssertionError("unreachable")


def floating_when_off(instruments: Mapping[str, Instrument]) -> list[str]:
    """Return the names of those that disconnect their lines when off: pulse generators."""
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
    """Make every source safe at once, then every matrix; return what was done, a line each.

    ``make_one(name)`` makes an instrument safe and returns a line about it. ``last``: sources that
    leave their lines floating when off: they follow when the others are off, or after
    :data:`GRACE_S`, so that no line floats beside one under voltage.

    No instrument waits for another of its kind, and none longer than :data:`ROUND_S`. Where a
    source does not answer, the lines are grounded all the same, so that the array is not left at
    its voltage, and ``note`` is called with a warning. Raises :class:`hwloop.errors.BackendError`
    that names the instruments that may still be on or connected: all that were not confirmed.
    """
    matrices = [name for name in names if name in station.matrices]
    sources = [name for name in names if name not in matrices]
    lines, failures = _at_once(sources, make_one, last)
    left = [
        f"{name} may still be ON, switch it off by hand ({_reason(exc)})"
        for name, exc in failures.items()
    ]
    if failures and matrices:
        note(f"relays are moved although {', '.join(failures)} may still be on")
    more_lines, more_failures = _at_once(matrices, make_one)
    left += [
        f"{name} may still connect lines to outputs ({_reason(exc)})"
        for name, exc in more_failures.items()
    ]
    if left:
        done = "; ".join(lines + more_lines) or "nothing else"
        raise BackendError(f"NOT EVERYTHING IS SAFE: {'; '.join(left)}. Done: {done}")
    return lines + more_lines


def _reason(exc: BaseException) -> str:
    """Return the message of an error, with its type where hwloop did not raise it on purpose."""
    return str(exc) if isinstance(exc, HwloopError) else f"{type(exc).__name__}: {exc}"


def make_station_safe(
    station: Station, addresses: Mapping[str, str] | None = None, *, note: Note = lambda _: None
) -> list[str]:
    """Connect to every instrument of a station and make it safe; return a line about each.

    Goes on past an instrument that cannot be reached, and raises
    :class:`hwloop.errors.BackendError` with all failures at the end.
    """
    by_name = {one.name: one for one in configured_instruments(station, addresses)}
    return make_all_safe(
        station,
        list(by_name),
        lambda name: reconnect_and_make_safe(station, by_name[name]),
        note=note,
        last=floating_when_off({name: one.dry_run() for name, one in by_name.items()}),
    )


def _at_once(
    names: list[str], make_one: Callable[[str], str], last: Sequence[str] = ()
) -> tuple[list[str], dict[str, BaseException]]:
    """Make each safe in a thread of its own; return the lines, and the failures by name.

    An instrument counts as safe only if its thread returned a line: one whose thread ended in any
    other way, or never ran, is a failure.
    """
    done: dict[str, str] = {}
    failures: dict[str, BaseException] = {}

    def work(name: str) -> None:
        try:
            done[name] = make_one(name)
        except BaseException as exc:  # noqa: BLE001 - SystemExit too: the others must be made safe
            failures[name] = exc

    threads = {
        name: threading.Thread(target=work, args=(name,), daemon=True, name=f"safe {name}")
        for name in names
    }
    began_s = time.monotonic()
    first = [name for name in names if name not in last]
    _start(threads, first, failures)
    if len(first) < len(names):
        _join((threads[name] for name in first), began_s + GRACE_S)
        _start(threads, [name for name in names if name in last], failures)
    _join(threads.values(), began_s + ROUND_S)
    for name, thread in threads.items():
        if thread.is_alive():
            failures[name] = BackendError(f"did not come back within {ROUND_S:g} s")
        elif name not in done and name not in failures:
            failures[name] = BackendError("it was not confirmed that it is safe")
    return [done[n] for n in names if n in done and n not in failures], {
        n: failures[n] for n in names if n in failures
    }


def _start(
    threads: Mapping[str, threading.Thread],
    names: Sequence[str],
    failures: dict[str, BaseException],
) -> None:
    """Start threads; one that cannot be started is a failure, and keeps no other from its start."""
    for name in names:
        try:
            threads[name].start()
        except (RuntimeError, MemoryError) as exc:
            failures[name] = exc


def _join(threads: Iterable[threading.Thread], end_s: float) -> None:
    for thread in threads:
        if thread.ident is not None:  # it was started
            thread.join(timeout=max(end_s - time.monotonic(), 0.0))
