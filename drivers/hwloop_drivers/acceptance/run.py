"""Run every test of an acceptance on a bench; an error of the bench is a finding too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, HwloopError
from hwloop_drivers.acceptance.checks import (
    compliance,
    lines,
    off_states,
    pulses,
    relays,
    resistors,
    settling,
    timeouts,
    watchdog,
)
from hwloop_drivers.acceptance.findings import DRIVER, Finding, Promise
from hwloop_drivers.acceptance.hosting import StationOnTrial
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope, open_oscilloscope
from hwloop_drivers.acceptance.record import AcceptanceRecord
from hwloop_drivers.acceptance.trial import Trial
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench

Check = Callable[[Trial], Iterator[Finding]]
Note = Callable[[Finding], None]

CHECKS: dict[str, Check] = {
    "lines": lines.check,
    "resistors": resistors.check,
    "pulses": pulses.check,
    "settling": settling.check,
    "compliance": compliance.check,
    "relays": relays.check,
    "off states": off_states.check,
    "time-outs": timeouts.check,
}
"""The tests on an open bench, in order: what the later ones take for granted comes first."""
WATCHDOG = "watchdog"
TESTS = (*CHECKS, WATCHDOG)


def run_acceptance(
    tried: StationOnTrial,
    *,
    checks: tuple[str, ...] = TESTS,
    note: Note = lambda _: None,
    holder: Sequence[str] = watchdog.HOLDER,
) -> AcceptanceRecord:
    """Run tests on a station, and return what they found; ``note`` is called with each finding.

    ``holder``: the command that holds a level until it is killed.
    """
    drivers = {name: entry.kind for name, entry in tried.station.instruments.items()}
    record = AcceptanceRecord(
        tried.station.name, tried.text, tried.virtual, tried.resistor_ohm, drivers
    )

    def keep(finding: Finding) -> None:
        record.findings.append(finding)
        note(finding)

    oscilloscope = _witness(tried, keep)
    try:
        for finding in _opened(tried, oscilloscope, [n for n in CHECKS if n in checks], record):
            keep(finding)
        if WATCHDOG in checks:
            for finding in _unless_error(
                WATCHDOG, watchdog.check(tried, oscilloscope, holder=holder)
            ):
                keep(finding)
    finally:
        if oscilloscope is not None:
            oscilloscope.close()
    return record.ended()


def _witness(tried: StationOnTrial, keep: Note) -> Oscilloscope | None:
    entry = tried.station.witness
    if entry is None or not tried.witness_address:
        return None
    try:
        return open_oscilloscope(entry, tried.witness_address)
    except BackendError as exc:
        promise = Promise("witness", "oscilloscope", "it answers", "the station file", DRIVER)
        keep(promise.broken_off(str(exc)))
        return None


def _opened(
    tried: StationOnTrial,
    oscilloscope: Oscilloscope | None,
    names: list[str],
    record: AcceptanceRecord,
) -> Iterator[Finding]:
    """Yield what tests find on an open bench; after an error it is opened anew for the others."""
    request = OpenRequest(tried.array, None, np.random.default_rng(0))
    left = list(names)
    while left:
        try:
            with open_bench(BenchSettings(station=tried.file), request, watch_lines=False) as bench:
                record.identify(bench.description.identity, oscilloscope)
                trial = _trial(tried, bench, oscilloscope)
                while left:
                    yield from CHECKS[left[0]](trial)
                    left.pop(0)
        except HwloopError as exc:
            name = left.pop(0) if left else "end"
            yield _ends(name).broken_off(f"{type(exc).__name__}: {exc}")


def _unless_error(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except HwloopError as exc:
        yield _ends(name).broken_off(f"{type(exc).__name__}: {exc}")


def _ends(name: str) -> Promise:
    return Promise(name, "bench", "the test runs to its end", "no error of the bench", DRIVER)


def _trial(tried: StationOnTrial, bench: Bench, oscilloscope: Oscilloscope | None) -> Trial:
    return Trial(
        bench,
        tried.station,
        tried.file,
        tried.array,
        tried.resistor_ohm,
        tried.station.self_test.tolerance,
        oscilloscope,
    )
