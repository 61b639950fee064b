"""Run every test of an acceptance on a bench; an error of the bench is a finding too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, HwloopError
from hwloop_drivers.acceptance.checks import lines, pulses, resistors
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
}
"""The tests on an open bench, in order: what the later ones take for granted comes first."""


def run_acceptance(
    tried: StationOnTrial, *, checks: tuple[str, ...] = tuple(CHECKS), note: Note = lambda _: None
) -> AcceptanceRecord:
    """Run tests on a station, and return what they found; ``note`` is called with each finding."""
    findings: list[Finding] = []
    outcome = AcceptanceRecord(tried.station.name, tried.text, tried.virtual, tried.resistor_ohm)

    def keep(finding: Finding) -> None:
        findings.append(finding)
        note(finding)

    oscilloscope = _witness(tried, keep)
    try:
        for name in checks:
            for finding in _on_open_bench(tried, oscilloscope, name, outcome):
                keep(finding)
    finally:
        if oscilloscope is not None:
            oscilloscope.close()
    outcome.findings = findings
    return outcome.ended()


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


def _on_open_bench(
    tried: StationOnTrial, oscilloscope: Oscilloscope | None, name: str, outcome: AcceptanceRecord
) -> Iterator[Finding]:
    """Yield what one test finds, on a bench that is opened for it and closed after it."""
    promise = Promise(name, "bench", "the test runs to its end", "", DRIVER)
    request = OpenRequest(tried.array, None, np.random.default_rng(0))
    try:
        with open_bench(BenchSettings(station=tried.file), request, watch_lines=False) as bench:
            outcome.identify(bench.description.identity, oscilloscope)
            yield from CHECKS[name](_trial(tried, bench, oscilloscope))
    except HwloopError as exc:
        yield promise.broken_off(f"{type(exc).__name__}: {exc}")


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
