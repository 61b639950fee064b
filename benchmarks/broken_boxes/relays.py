"""Relays that do not move, move late, in another order, or in another place."""

from __future__ import annotations

from benchmarks.broken_boxes.fault import Break
from hwloop.station.station import Station
from hwloop_sim.virtual.bench.bench import VirtualBench

GAP_S = 2e-3


def channel_of(station: Station, line: str, output: str) -> tuple[str, str]:
    """Return the matrix and the channel that connect a line to an output."""
    for wire in station.wires():
        if wire.line == line and wire.output == output and wire.matrix and wire.channel:
            return wire.matrix, wire.channel
    raise ValueError(f"no channel connects {line} to {output}")


def stuck(line: str, output: str, *, closed: bool) -> Break:
    """Have the relay from a line to an output stuck, whatever the matrix reports."""

    def apply(bench: VirtualBench) -> None:
        bench.circuit.stick(*channel_of(bench.station, line, output), closed=closed)

    return apply


def exchanged(one: tuple[str, str], other: tuple[str, str]) -> Break:
    """Have two channels close each other's relay."""

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.set_closed
        _, first = channel_of(bench.station, *one)
        _, second = channel_of(bench.station, *other)
        swap = {first: second, second: first}

        def set_closed(matrix: str, channels: frozenset[str]) -> None:
            told(matrix, frozenset(swap.get(channel, channel) for channel in channels))

        bench.circuit.set_closed = set_closed  # type: ignore[method-assign]

    return apply


def together(one: tuple[str, str], other: tuple[str, str]) -> Break:
    """Have one channel close a second relay with its own."""

    def apply(bench: VirtualBench) -> None:
        told = bench.circuit.set_closed
        _, first = channel_of(bench.station, *one)
        _, second = channel_of(bench.station, *other)

        def set_closed(matrix: str, channels: frozenset[str]) -> None:
            told(matrix, channels | {second} if first in channels else channels)

        bench.circuit.set_closed = set_closed  # type: ignore[method-assign]

    return apply


def late(line: str, output: str, by_s: float) -> Break:
    """Have a relay close long after the matrix says that it has settled."""

    def apply(bench: VirtualBench) -> None:
        told, clock = bench.circuit.set_closed, bench.clock
        _, slow = channel_of(bench.station, line, output)
        wanted: dict[str, frozenset[str]] = {}
        closes_s = [0.0]

        def set_closed(matrix: str, channels: frozenset[str]) -> None:
            was, wanted[matrix] = wanted.get(matrix, frozenset()), channels
            if slow in channels and slow not in was:
                closes_s[0] = clock.now_s + by_s
                clock.at(closes_s[0], lambda: told(matrix, wanted[matrix]))
            told(matrix, channels - {slow} if clock.now_s < closes_s[0] else channels)

        bench.circuit.set_closed = set_closed  # type: ignore[method-assign]

    return apply


def breaks_first(bench: VirtualBench) -> None:
    """Open every other relay of a line before one of it closes, as a multiplexer does."""
    told, clock = bench.circuit.set_closed, bench.clock
    line_of = {wire.channel: wire.line for wire in bench.station.wires() if wire.channel}
    now: dict[str, frozenset[str]] = {}

    def set_closed(matrix: str, channels: frozenset[str]) -> None:
        was = now.get(matrix, frozenset())
        lines = {line_of.get(channel) for channel in channels - was}
        gap = frozenset(c for c in was if line_of.get(c) not in lines)
        if gap != was and was <= channels:
            told(matrix, gap)
            clock.advance(GAP_S)
        now[matrix] = channels
        told(matrix, channels)

    bench.circuit.set_closed = set_closed  # type: ignore[method-assign]


def lead_broken(line: str) -> Break:
    """Break the lead from a line to the array."""
    return lambda bench: bench.circuit.break_line(line)


def leads_exchanged(one: str, other: str) -> Break:
    """Exchange the leads of two lines at the array."""
    return lambda bench: bench.circuit.exchange(one, other)


def in_the_lead(output: str, ohm: float) -> Break:
    """Put a resistance into the lead of an output, as a worn relay is."""

    def apply(bench: VirtualBench) -> None:
        bench.circuit._series_ohm[output] = ohm  # noqa: SLF001 - no station says so

    return apply
