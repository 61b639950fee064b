"""Benches whose numbers are judged need no process that watches them."""

from __future__ import annotations

import pytest

from hwloop_drivers.bench import open as opening
from tests.drivers.running_bench import NoWatchdog


@pytest.fixture
def no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open benches of this process without starting the process that watches them.

    For tests of what a bench does and measures. Those of runs that end otherwise start it.
    """
    monkeypatch.setattr(opening, "Watchdog", NoWatchdog)
