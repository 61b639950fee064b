"""Make a bench safe from any state: bounded in time, going on past instruments without answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

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
    rest: Callable[[str], bool] = lambda _: False,
) -> list[str]:
    """Make every source safe at once, then every matrix; return what was done, a line each.

    ``make_one(name)`` makes an instrument safe and returns a line about it. ``last``: sources that
    leave their lines floating when off: they follow when the others are off, or after
    :data:`GRACE_S`, so that no line floats beside one under voltage. ``rest(name)`` brings one of
    them to 0 V at once, leaves it on, and returns whether it could: where another source is not off
    by then, such a one holds its lines until the matrices have grounded them.

    No instrument waits for another of its kind, and none longer than :data:`ROUND_S`. Where a
    source does not answer, the lines are grounded all the same, so that the array is not left at
    its voltage, and ``note`` is called with a warning. Raises :class:`hwloop.errors.BackendError`
    that names the instruments that may still be on or connected: all that were not confirmed.
    """
    matrices = [name for name in names if name in station.matrices]
    sources = _Round(make_one)
    holding = _start_sources(sources, [n for n in names if n not in matrices], last, rest)
    lines, failures = sources.result()
    if failures and matrices:
        note(f"relays are moved although {', '.join(failures)} may still be on")
    grounding = _Round(make_one)
    grounding.start(matrices)
    more_lines, more_failures = grounding.result()
    held = _Round(make_one)
    held.start(holding)
    held_lines, held_failures = held.result()
    left = [
        f"{name} may still be ON, switch it off by hand ({_reason(exc)})"
        for name, exc in (failures | held_failures).items()
    ]
    left += [
        f"{name} may still connect lines to outputs ({_reason(exc)})"
        for name, exc in more_failures.items()
    ]
    done = lines + more_lines + held_lines
    if left:
        raise BackendError(
            f"NOT EVERYTHING IS SAFE: {'; '.join(left)}. Done: {'; '.join(done) or 'nothing else'}"
        )
    return done


def _start_sources(
    sources: _Round, names: Sequence[str], last: Sequence[str], rest: Callable[[str], bool]
) -> list[str]:
    """Start to make sources safe; return those that rest at 0 V until the lines are grounded."""
    first = [name for name in names if name not in last]
    floating = [name for name in names if name in last]
    sources.start(first)
    if not floating:
        return []
    resting = _Round(lambda name: name if rest(name) else "")
    resting.start(floating)
    sources.join(GRACE_S)
    if not all(name in sources.done for name in first):
        resting.join(GRACE_S)
        if all(resting.done.get(name) for name in floating):
            return floating
    sources.start(floating)
    return []


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

    def rest(name: str) -> bool:
        instrument = by_name[name].open()
        try:
            return instrument.rest_at_zero()
        finally:
            instrument.link.close()

    return make_all_safe(
        station,
        list(by_name),
        lambda name: reconnect_and_make_safe(station, by_name[name]),
        note=note,
        last=floating_when_off({name: one.dry_run() for name, one in by_name.items()}),
        rest=rest,
    )


class _Round:
    """Instruments that are made safe at once, each in a thread of its own.

    One counts as safe only if its thread returned a line: one whose thread ended in any other way,
    or never ran, is a failure.
    """

    def __init__(self, make_one: Callable[[str], str]) -> None:
        self.done: dict[str, str] = {}
        self._make_one = make_one
        self._failures: dict[str, BaseException] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._began_s = time.monotonic()

    def start(self, names: Sequence[str]) -> None:
        """Start threads; one that cannot be started is a failure, and keeps no other back."""
        for name in names:
            thread = threading.Thread(
                target=self._work, args=(name,), daemon=True, name=f"safe {name}"
            )
            self._threads[name] = thread
            try:
                thread.start()
            except (RuntimeError, MemoryError) as exc:
                self._failures[name] = exc

    def join(self, bound_s: float) -> None:
        """Wait for all that were started, until ``bound_s`` seconds after the round was begun."""
        for thread in self._threads.values():
            if thread.ident is not None:  # it was started
                thread.join(timeout=max(self._began_s + bound_s - time.monotonic(), 0.0))

    def result(self) -> tuple[list[str], dict[str, BaseException]]:
        """Wait for :data:`ROUND_S` at most; return the lines, and the failures by name."""
        self.join(ROUND_S)
        failures: dict[str, BaseException] = {}
        for name, thread in self._threads.items():
            if thread.is_alive():
                failures[name] = BackendError(f"did not come back within {ROUND_S:g} s")
            elif name in self._failures:
                failures[name] = self._failures[name]
            elif name not in self.done:
                failures[name] = BackendError("it was not confirmed that it is safe")
        return [
            self.done[n] for n in self._threads if n in self.done and n not in failures
        ], failures

    def _work(self, name: str) -> None:
        try:
            self.done[name] = self._make_one(name)
        except BaseException as exc:  # noqa: BLE001 - SystemExit too: the others must be made safe
            self._failures[name] = exc
