"""A virtual bench with one rule broken, and what the acceptance test makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hwloop.procedure.procedure import load_procedure
from hwloop_drivers.acceptance.hosting import station_on_trial
from hwloop_drivers.acceptance.record import AcceptanceRecord
from hwloop_drivers.acceptance.run import run_acceptance
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench


def accepted(
    folder: Path,
    *checks: str,
    station: str = "virtual_4x4",
    broken: Callable[[VirtualBench], None] = lambda _: None,
    watched: bool = True,
) -> AcceptanceRecord:
    """What these tests find on a station, with a bench that was broken first."""
    file = copy_station(ROOT / "stations" / f"{station}.yaml", folder)
    if not watched:
        text = file.read_text(encoding="utf-8")
        begin, end = text.index("witness:"), text.index("virtual:\n")
        file.write_text(text[:begin] + text[end:], encoding="utf-8")
    with running_bench(file, load_procedure(PROCEDURE), dummy=True) as bench:
        broken(bench)
        with station_on_trial(file, resistors=None, witness=None) as tried:
            return run_acceptance(tried, checks=checks)


def places(outcome: AcceptanceRecord, test: str) -> set[str]:
    """Where findings of one kind are out of tolerance."""
    return {finding.place for finding in outcome.failed if finding.test == test}
