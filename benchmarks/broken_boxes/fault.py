"""A fault of a virtual bench, as the acceptance test is tried with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwloop_sim.virtual.bench.bench import VirtualBench


@dataclass(frozen=True)
class BrokenBox:
    """One rule that is broken: ``apply`` breaks it on a bench that has not been used yet.

    ``named``: texts of which a finding out of tolerance has to hold one, in its place or in what
    was seen. ``checks``: the tests that have to find it; all where it is empty.
    """

    name: str
    apply: Callable[[VirtualBench], None]
    named: tuple[str, ...]
    checks: tuple[str, ...] = ()


def becomes(box: Any, mixin: type) -> None:
    """Put a class before that of an object: its methods are asked first."""
    box.__class__ = type(f"Broken{type(box).__name__}", (mixin, type(box)), {})
