"""Open the bench of a station: for a run, for a dry run, for a connectivity check."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationInfo, field_validator

from hwloop.backend.base import Event
from hwloop.backend.kind import BackendKind, LifeKind, OpenRequest
from hwloop.errors import BackendError, ConfigError, Unsupported
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.yaml import read_text
from hwloop.station.station import Station, load_station, parse_station
from hwloop_drivers.bench.backend import Bench, Release
from hwloop_drivers.bench.wiring_check import self_test
from hwloop_drivers.links.instrument_locks import Holder, hold, refuse_one_instrument_twice
from hwloop_drivers.links.link import WireLog
from hwloop_drivers.roles import Instrument
from hwloop_drivers.safety.watchdog import Watchdog
from hwloop_drivers.station.cables import Cables
from hwloop_drivers.station.configured import ConfiguredInstrument, configured_instruments
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.virtual_bench import BenchTime, HostTime, find, start


class BenchSettings(Settings):
    """Settings of the bench. ``station``: a station file, relative to the procedure."""

    station: Path

    @field_validator("station")
    @classmethod
    def _beside(cls, station: Path, info: ValidationInfo) -> Path:
        return folder_of(info) / station


def dry_run_bench(settings: BenchSettings, request: OpenRequest) -> Bench:
    """Return the bench without a link to any instrument: it checks operations and times them.

    Raises :class:`hwloop.errors.ConfigError` with the key of what the instruments would refuse.
    """
    text = read_text(settings.station)
    station = _station(settings, request, text)
    try:
        instruments = {one.name: one.dry_run() for one in configured_instruments(station)}
        drives = BenchDrives.of(station, instruments)
        bench = Bench(station, request.array, drives, text=text)
        drives.refuse_set_up(station, request.array)
        Cables.of(station, request.array, drives).refuse_slow(request.array)
        _refuse_channels(station, drives)
    except ConfigError as exc:
        raise exc.below(file=str(settings.station)) from None
    return bench


def _refuse_channels(station: Station, drives: BenchDrives) -> None:
    for wire in station.wires():
        if wire.matrix is None or wire.channel is None:
            continue
        try:
            drives.matrices[wire.matrix].refuse_channel(wire.channel)
        except Unsupported as exc:
            key = f"wiring.lines.{wire.line}.{wire.output}"
            raise ConfigError(f"{wire.matrix}: {exc}", key=key) from exc


def open_bench(
    settings: BenchSettings,
    request: OpenRequest,
    *,
    dummy: bool = False,
    watch_lines: bool = True,
) -> Bench:
    """Lock the instruments, start the watchdog, connect, and bring the bench to its idle state.

    ``dummy``: a virtual bench that is started for this has its dummy resistors in the array's
    place. ``watch_lines``: whether reads are judged, and lines checked, as in a run. Raises
    :class:`hwloop.errors.InstrumentInUse` where another run has an instrument, and
    :class:`hwloop.errors.BackendError` where one does not answer or the watchdog does not start;
    then nothing has been switched on.
    """
    dry_run_bench(settings, request)
    text = read_text(settings.station)
    station = _station(settings, request, text)
    at_close: list[Release] = []
    time: BenchTime = HostTime()
    addresses: Mapping[str, str] = {}
    control = ""
    events: deque[Event] = deque()
    opened: dict[str, Instrument] = {}
    try:
        if station.is_virtual:
            time = virtual = find(settings.station) or start(
                settings.station, request.procedure or {}, seed=request.seed, dummy=dummy
            )
            addresses, control = virtual.addresses, virtual.control
            at_close.append(virtual.close)
        by_name = {one.name: one for one in configured_instruments(station, addresses)}
        by_address = {name: one.lock_address for name, one in by_name.items()}
        refuse_one_instrument_twice(by_address)
        locks = hold(by_address, _holder(request, station))
        at_close.append(locks.release)
        if station.is_virtual and (message := virtual.begin_run()):
            events.append(Event("warning", message))
        watchdog = Watchdog(station, addresses, record=request.record, control=control, locks=locks)
        at_close.insert(0, watchdog.release)
        _open_all(by_name, opened, events if station.wire_log else None)
        drives = BenchDrives.of(station, opened)
        bench = Bench(station, request.array, drives, events, text=text)
        if watch_lines:
            bench.watch_lines(forming=_forms(request))
    except BaseException:
        for instrument in opened.values():
            instrument.link.close()
        for release in at_close:
            release(safe=True)  # nothing was switched on
        raise
    bench.connect(time, by_name, at_close, watchdog)
    return bench


def _open_all(
    by_name: Mapping[str, ConfiguredInstrument],
    opened: dict[str, Instrument],
    log: deque[Event] | None,
) -> None:
    """Open every instrument; raise one error that names all that cannot be used, and why."""
    failures: dict[str, BackendError] = {}
    for name, one in by_name.items():
        try:
            opened[name] = one.open(None if log is None else _wire_log(name, log), alone=True)
        except BackendError as exc:
            failures[name] = exc
    if not failures:
        return
    reasons = [
        said if (said := str(exc)).startswith(f"{name} at ") else f"{name}: {said}"
        for name, exc in failures.items()
    ]
    kinds = {type(exc) for exc in failures.values()}
    kind = kinds.pop() if len(kinds) == 1 else BackendError
    count = f"{len(failures)} of {len(by_name)} instruments cannot be used: "
    raise kind((count if len(failures) > 1 else "") + "; ".join(reasons)) from next(
        iter(failures.values())
    )


def _holder(request: OpenRequest, station: Station) -> Holder:
    if request.record is None:
        return Holder("a check", station.name)
    return Holder("a run", station.name, str(request.record.resolve()))


def check_connectivity(settings: BenchSettings, request: OpenRequest) -> Iterator[str]:
    """Connect, and check at the read voltage that every line and relay works; no pulse is applied.

    Yields a line about each instrument and each test that passed; raises
    :class:`hwloop.errors.InstrumentFault` with every fault that was found.
    """
    station = load_station(settings.station)
    dummy = station.self_test.dummy_ohm is not None
    with open_bench(settings, request, dummy=dummy, watch_lines=False) as bench:
        for name, said in bench.description.identity.items():
            if isinstance(said, dict):
                settings_read = ", ".join(f"{k} {v}" for k, v in said.items() if k != "id")
                yield f"{name}: {said['id']}" + (f"; {settings_read}" if settings_read else "")
        yield from self_test(bench, bench.circuit, request.array)


def life_of_bench(settings: BenchSettings) -> LifeKind:
    """Return "virtual" where a virtual bench answers at every address of the station."""
    return "virtual" if load_station(settings.station).is_virtual else "physical"


def _forms(request: OpenRequest) -> bool:
    """Return whether a step of the procedure forms cells: until then they need not conduct."""
    steps = (request.procedure or {}).get("steps", [])
    return any(step.get("step") == "form" for step in steps)


def _wire_log(name: str, events: deque[Event]) -> WireLog:
    return lambda _, direction, text: events.append(Event("wire", f"{name} {direction} {text}"))


def _station(settings: BenchSettings, request: OpenRequest, text: str) -> Station:
    if request.population is not None:
        raise Unsupported("a bench has one array: leave the population out")
    if request.array.tiles != 1:
        raise Unsupported(
            f"array.tiles is {request.array.tiles}: a bench is one array of {request.array.rows} ×"
            f" {request.array.cols}"
        )
    return parse_station(text, settings.station)


BENCH = BackendKind(
    name="bench",
    summary="A real array, or a virtual bench, through the instruments of a station file",
    settings=BenchSettings,
    open=open_bench,
    touches_hardware=True,
    dry_run=dry_run_bench,
    check_connectivity=check_connectivity,
    life=life_of_bench,
)
