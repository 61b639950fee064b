"""Outputs that do not drive what they were told, or not when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from benchmarks.broken_boxes.fault import Break
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.circuit.circuit import Sensed

Levels = Callable[[float | None, float], tuple[float | None, float]]
"""From the level, None where it is open, and the limit, to those that the circuit gets."""
PULSE_V = 0.45  # above all reads of the acceptance test on one line, below its pulses


def driven(output: str, change: Levels) -> Break:
    """Change what an output drives, whatever its box believes."""

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.drive

        def drive(name: str, *, volts: float | None, limit_a: float = inf, **rest: Any) -> None:
            if name == output:
                volts, limit_a = change(volts, limit_a)
            told(name, volts=volts, limit_a=limit_a, **rest)

        bench.circuit.drive = drive  # type: ignore[method-assign]

    return apply


def gain(output: str, factor: float) -> Break:
    """Have every level wrong by a factor."""
    return driven(output, lambda volts, limit_a: (volts and volts * factor, limit_a))


def offset(output: str, by_v: float) -> Break:
    """Have every level, 0 V too, wrong by an offset."""
    return driven(output, lambda volts, limit_a: (None if volts is None else volts + by_v, limit_a))


def limited(output: str, limit_a: float) -> Break:
    """Have a limit of the current that nobody has set."""
    return driven(output, lambda volts, told_a: (volts, min(told_a, limit_a)))


def limit_times(output: str, factor: float) -> Break:
    """Have another limit of the current than was set, whatever reads back."""
    return driven(output, lambda volts, told_a: (volts, told_a * factor))


def clamped_by_range(output: str, *, flagged: bool) -> Break:
    """Clamp an output at 105 % of the decade of its last reading: range compliance.

    2400 user's manual 7-3; 2450 ``smu.measure.autorangerebound``. ``flagged``: whether the box
    reports that it is limited.
    """

    def apply(bench: VirtualBench) -> None:
        circuit = bench.circuit
        seen_a = [inf]
        limited(output, inf)(bench)
        told, read, sense = circuit.drive, circuit.read, circuit.sense

        def drive(name: str, *, volts: float | None, limit_a: float = inf, **rest: Any) -> None:
            if name == output:
                limit_a = min(limit_a, 1.05 * seen_a[0])
            told(name, volts=volts, limit_a=limit_a, **rest)

        def read_range(name: str) -> Sensed:
            got = read(name)
            if name == output:
                decades = [10.0**power for power in range(-6, 1)]
                seen_a[0] = next(d for d in decades if abs(got.amperes) <= d * 1.05)
            return got

        def sense_flag(name: str) -> Sensed:
            got = sense(name)
            return got if flagged or name != output else replace(got, limited=False)

        circuit.drive, circuit.read, circuit.sense = drive, read_range, sense_flag  # type: ignore[method-assign]

    return apply


def stays_on(output: str) -> Break:
    """Have the output relay stuck: told to go off, it drives what it did before."""
    kept: list[float | None] = [None]

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.drive

        def drive(name: str, *, volts: float | None, on: bool = True, **rest: Any) -> None:
            if name == output:
                off = volts is None or not on
                volts = kept[0] if off and kept[0] is not None else volts
                kept[0] = kept[0] if off else volts
            told(name, volts=volts, on=on, **rest)

        bench.circuit.drive = drive  # type: ignore[method-assign]

    return apply


def off_as(output: str, left_v: float | None) -> Break:
    """Have an output that is off leave its line at a voltage, or open (None)."""

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.drive

        def drive(name: str, *, volts: float | None, on: bool = True, **rest: Any) -> None:
            if name == output and (not on or volts is None):
                told(name, volts=left_v, on=on, **rest)
            else:
                told(name, volts=volts, on=on, **rest)

        bench.circuit.drive = drive  # type: ignore[method-assign]

    return apply


def never_on(output: str) -> Break:
    """Have the output relay stuck open: nothing is ever driven."""
    return driven(output, lambda _, limit_a: (None, limit_a))


def edges(
    output: str,
    *,
    before_rise: Callable[[VirtualBench], None] = lambda _: None,
    before_fall: Callable[[VirtualBench], None] = lambda _: None,
    after_fall: Callable[[VirtualBench, Callable[[float], None], float], None] | None = None,
    missing: int = 0,
    cut_after_s: float | None = None,
) -> Break:
    """Disturb the edges of pulses: what happens before and after them, which pulses do not come.

    ``missing``: every how many pulses one is left out. ``cut_after_s``: longest pulse.
    """

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.drive
        state = {"level_v": 0.0, "pulses": 0}

        def drive(name: str, *, volts: float | None, **rest: Any) -> None:
            if name != output or volts is None:
                told(name, volts=volts, **rest)
                return
            was_v, state["level_v"] = state["level_v"], volts
            rises = abs(volts) > PULSE_V >= abs(was_v)
            falls = abs(volts) <= PULSE_V < abs(was_v)
            if rises:
                state["pulses"] += 1
                before_rise(bench)
            if falls:
                before_fall(bench)
            if abs(volts) > PULSE_V and missing and state["pulses"] % missing == 0:
                volts = 0.0
            told(name, volts=volts, **rest)
            if rises and cut_after_s is not None:
                end_s = bench.clock.now_s + cut_after_s
                bench.clock.at(end_s, lambda: told(name, volts=0.0, **rest))
            if falls and after_fall is not None:
                after_fall(bench, lambda again_v: told(name, volts=again_v, **rest), was_v)

        bench.circuit.drive = drive  # type: ignore[method-assign]

    return apply


def second_pulse(bench: VirtualBench, drive: Callable[[float], None], level_v: float) -> None:
    """Make one more pulse of 1 ms, 1 ms after a pulse has ended."""
    bench.clock.advance(1e-3)
    drive(level_v)
    bench.clock.advance(1e-3)
    drive(0.0)
