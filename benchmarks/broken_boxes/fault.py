"""A fault of a virtual bench, as the acceptance test is tried with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwloop_sim.virtual.bench.bench import VirtualBench

Break = Callable[[VirtualBench], None]


@dataclass(frozen=True)
class BrokenBox:
    """One rule that is broken: ``apply`` breaks it on a bench that has not been used yet.

    ``named``: texts of which a finding out of tolerance has to hold one, in its place or in what
    was seen. ``checks``: the tests that are to find it; the others may find it too. ``unwatched``:
    the process that is killed at a level has no watchdog.
    """

    name: str
    apply: Break
    named: tuple[str, ...]
    checks: tuple[str, ...]
    unwatched: bool = False
