"""Meters that read something else than flows, or report another status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import copysign, inf

from benchmarks.broken_boxes.fault import Break
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.circuit.circuit import Sensed


def reads(output: str, change: Callable[[float], float]) -> Break:
    """Change every current that an output reads."""

    def apply(bench: VirtualBench) -> None:
        read = bench.circuit.read

        def changed(name: str) -> Sensed:
            got = read(name)
            return got if name != output else replace(got, amperes=change(got.amperes))

        bench.circuit.read = changed  # type: ignore[method-assign]

    return apply


def gain(output: str, factor: float) -> Break:
    """Read every current wrong by a factor."""
    return reads(output, lambda amperes: amperes * factor)


def offset(output: str, by_a: float) -> Break:
    """Read every current wrong by an offset."""
    return reads(output, lambda amperes: amperes + by_a)


def clipped(output: str, most_a: float) -> Break:
    """Read no more than the end of a range that is too small, without a word."""
    return reads(output, lambda amperes: copysign(min(abs(amperes), most_a), amperes))


def behind(output: str) -> Break:
    """Give every reading once more in the place of the next: that of the level before."""

    def apply(bench: VirtualBench) -> None:
        circuit = bench.circuit
        told, read, sense = circuit.drive, circuit.read, circuit.sense
        levels_v: dict[str, object] = {}
        before_a = [0.0]

        def drive(name: str, **given: object) -> None:
            if levels_v.get(name) != given.get("volts"):
                before_a[0] = sense(output).amperes
            levels_v[name] = given.get("volts")
            told(name, **given)  # type: ignore[arg-type]

        def old(name: str) -> Sensed:
            got = read(name)
            return got if name != output else replace(got, amperes=before_a[0])

        circuit.drive, circuit.read = drive, old  # type: ignore[method-assign]

    return apply


def slow(output: str, settling_s: float) -> Break:
    """Let readings settle to 0.1 % of a step only after a time of its own."""

    def apply(bench: VirtualBench) -> None:
        circuit, clock = bench.circuit, bench.clock
        told, read = circuit.drive, circuit.read
        state = {"from_a": 0.0, "since_s": -inf, "last_a": 0.0}

        def drive(name: str, **given: object) -> None:
            state["from_a"], state["since_s"] = state["last_a"], clock.now_s
            told(name, **given)  # type: ignore[arg-type]

        def lagging(name: str) -> Sensed:
            got = read(name)
            if name != output:
                return got
            lag = 1e-3 ** min((clock.now_s - state["since_s"]) / settling_s, 100.0)
            state["last_a"] = got.amperes + (state["from_a"] - got.amperes) * lag
            return replace(got, amperes=state["last_a"])

        circuit.drive, circuit.read = drive, lagging  # type: ignore[method-assign]

    return apply


def status(output: str, change: Callable[[bool], bool]) -> Break:
    """Report another status than that of the limit."""

    def apply(bench: VirtualBench) -> None:
        sense = bench.circuit.sense

        def changed(name: str) -> Sensed:
            got = sense(name)
            return got if name != output else replace(got, limited=change(got.limited))

        bench.circuit.sense = changed  # type: ignore[method-assign]

    return apply
