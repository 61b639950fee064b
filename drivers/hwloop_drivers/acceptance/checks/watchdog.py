"""A process that dies with a level on a line leaves a bench that is off and grounded."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

from hwloop.errors import BackendError, InstrumentInUse
from hwloop.station.station import Station
from hwloop_drivers.acceptance.checks.pulses import rests
from hwloop_drivers.acceptance.findings import DRIVER, Finding, Promise
from hwloop_drivers.acceptance.hosting import StationOnTrial
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope
from hwloop_drivers.child_process import PYTHON, end, first_line
from hwloop_drivers.links.instrument_locks import Holder, hold
from hwloop_drivers.roles import SwitchMatrix
from hwloop_drivers.safety.make_safe import ground_channels, make_station_safe
from hwloop_drivers.station.configured import ConfiguredInstrument, configured_instruments
from hwloop_drivers.virtual_bench import find

HOLDER = (*PYTHON, "-m", "hwloop_drivers.acceptance.holder")
START_S, RELEASED_S, POLL_S = 60.0, 60.0, 0.3
SOURCE = "safety: where a run is killed, its watchdog switches off and grounds"
CONDITION = "the process that held a level was killed"


def check(
    tried: StationOnTrial, oscilloscope: Oscilloscope | None, *, holder: Sequence[str] = HOLDER
) -> Iterator[Finding]:
    """Yield the state of every output and matrix after a process was killed at a level."""
    addresses = _addresses(tried)
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*holder, str(tried.file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = (first_line(process, within_s=START_S) or "").strip()
    reason = end(process)
    if said != "held":
        promise = Promise("watchdog", "bench", "a process holds a level", SOURCE, DRIVER)
        yield promise.broken_off(reason or said or "no answer")
        return
    found = list(_left(tried.station, addresses))
    if oscilloscope is not None:
        found += rests(oscilloscope, CONDITION)
    yield from found
    if any(finding.failed for finding in found):
        make_station_safe(tried.station, addresses, note=lambda _: None)


def _addresses(tried: StationOnTrial) -> Mapping[str, str] | None:
    if not tried.station.is_virtual:
        return None
    link = find(tried.file)
    if link is None:
        raise BackendError(f"{tried.file}: the virtual bench has ended")
    link.close()
    return link.addresses


def _left(station: Station, addresses: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield the state that the instruments report once nobody uses them any more."""
    by_name = configured_instruments(station, addresses)
    holder = Holder("an acceptance test", station.name)
    end_s = time.monotonic() + RELEASED_S
    while time.monotonic() < end_s:
        try:
            lock = hold({one.name: one.address for one in by_name}, holder)
        except InstrumentInUse:
            time.sleep(POLL_S)
            continue
        with lock:
            for one in by_name:
                yield from _state(station, one)
        return
    promise = Promise("watchdog", "bench", CONDITION, SOURCE, DRIVER)
    yield promise.broken_off(f"still in use after {RELEASED_S:g} s")


def _state(station: Station, one: ConfiguredInstrument) -> Iterator[Finding]:
    instrument = one.open()
    try:
        if isinstance(instrument, SwitchMatrix):
            wrong = instrument.closed ^ frozenset(ground_channels(station, one.name))
            promise = Promise("watchdog", one.name, CONDITION, SOURCE, DRIVER)
            yield promise.state(
                expected="every line on ground",
                seen=f"otherwise: {', '.join(sorted(wrong))}" if wrong else "every line on ground",
                kept=not wrong,
            )
        for channel, output in instrument.outputs().items():
            place = f"{one.name}.{channel}" if channel else one.name
            on = output.source_enabled
            promise = Promise("watchdog", place, CONDITION, SOURCE, DRIVER)
            yield promise.state(expected="off", seen="on" if on else "off", kept=not on)
    finally:
        instrument.link.close()
