"""Outputs that do not drive what they were told."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hwloop_sim.virtual.bench.bench import VirtualBench

Levels = Callable[[float | None, float], tuple[float | None, float]]
"""From the level, None where it is open, and the limit, to those that the circuit gets."""


def driven(output: str, change: Levels) -> Callable[[VirtualBench], None]:
    """Change what an output drives, whatever its box believes."""

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.drive

        def drive(name: str, *, volts: float | None, limit_a: float = inf, **rest: Any) -> None:
            if name == output:
                volts, limit_a = change(volts, limit_a)
            told(name, volts=volts, limit_a=limit_a, **rest)

        bench.circuit.drive = drive  # type: ignore[method-assign]

    return apply


def gain(output: str, factor: float) -> Callable[[VirtualBench], None]:
    """Have every level wrong by a factor."""
    return driven(output, lambda volts, limit_a: (volts and volts * factor, limit_a))


def offset(output: str, by_v: float) -> Callable[[VirtualBench], None]:
    """Have every level, 0 V too, wrong by an offset."""
    return driven(output, lambda volts, limit_a: (None if volts is None else volts + by_v, limit_a))


def limited(output: str, limit_a: float) -> Callable[[VirtualBench], None]:
    """Have a limit of the current that nobody has set."""
    return driven(output, lambda volts, told_a: (volts, min(told_a, limit_a)))


def unlimited(output: str) -> Callable[[VirtualBench], None]:
    """Have no limit of the current, whatever was set."""
    return driven(output, lambda volts, _: (volts, inf))
