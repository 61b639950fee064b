"""Checks of a station, made before any instrument is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hwloop.array.biasing import driven_lines, required_drives
from hwloop.messages import nearest
from hwloop.station.parts import GROUND, instrument_of

if TYPE_CHECKING:
    from hwloop.station.parts import StationView, Wire

_INTERFACES = ("socket", "hislip", "serial")


def check(station: StationView) -> None:
    """Raise :class:`ValueError` with the first contradiction in a station."""
    for judge in (
        _check_names,
        _check_addresses,
        _check_virtual,
        _check_drives,
        _check_wires,
        _check_scheme,
        _check_witness,
    ):
        judge(station)


def _check_names(station: StationView) -> None:
    for name in station.instruments:
        if name == GROUND or not name.isidentifier():
            raise ValueError(f"instruments: {name!r} is not a name: letters, digits, underscores")


def _check_addresses(station: StationView) -> None:
    for name, entry in station.instruments.items():
        _, _, interface = entry.address.partition(":")
        if entry.is_virtual and interface.partition(":")[0] not in _INTERFACES:
            known = ", ".join(f"virtual:{one}" for one in _INTERFACES)
            raise ValueError(
                f"instruments.{name}.address: {entry.address!r}: virtual addresses are {known}"
            )
    real = [e.address for e in station.instruments.values() if not e.is_virtual]
    for address, count in Counter(real).items():
        if count > 1:
            raise ValueError(f"instruments: {count} of them have the address {address}")
    if real and len(real) < len(station.instruments):
        raise ValueError("instruments: real and virtual addresses cannot be mixed on one bench")
    if not real and station.virtual is None:
        raise ValueError("virtual: this key is required with virtual addresses")


def _check_virtual(station: StationView) -> None:
    if station.virtual is None:
        return
    names = list(station.instruments)
    for key in ("earlier_messages", "line_ends"):
        for name in getattr(station.virtual, key):
            if name not in names:
                raise ValueError(f"virtual.{key}: there is no {name!r}{nearest(name, names)}")


def _check_drives(station: StationView) -> None:
    names = list(station.instruments)
    for key, output in station.wiring.drive.named().items():
        if instrument_of(output) not in station.instruments:
            raise ValueError(f"wiring.drive.{key}: there is no {output!r}{nearest(output, names)}")
    for output in station.wiring.series_ohm:
        if output not in station.outputs:
            raise ValueError(f"wiring.series_ohm: no line reaches an output {output!r}")


def _check_wires(station: StationView) -> None:
    wires = list(station.wires())
    _refuse_shared_channels(wires)
    for wire in wires:
        if wire.output != GROUND and instrument_of(wire.output) not in station.instruments:
            near = nearest(wire.output, [*station.instruments, GROUND])
            raise ValueError(f"wiring.lines.{wire.line}: there is no {wire.output!r}{near}")
        if wire.output == wire.matrix:
            raise ValueError(f"wiring.lines.{wire.line}: {wire.output!r} is the matrix itself")
    fixed = Counter(w.output for w in wires if w.channel is None and w.output != GROUND)
    for output, count in fixed.items():
        if count > 1:
            lines = ", ".join(w.line for w in wires if w.output == output)
            raise ValueError(f"wiring.lines: {output} is soldered to {count} lines: {lines}")
        switched = [w.line for w in wires if w.output == output and w.channel is not None]
        if switched:
            fixed_line = next(w.line for w in wires if w.output == output and w.channel is None)
            raise ValueError(
                f"wiring.lines: {output} is soldered to {fixed_line}, which would follow whenever"
                f" {switched[0]} is connected to it"
            )
    for line, ends in station.wiring.lines.items():
        if isinstance(ends, dict) and GROUND not in ends:
            raise ValueError(f"wiring.lines.{line}: no way to ground; add a channel to {GROUND}")


def _refuse_shared_channels(wires: list[Wire]) -> None:
    seen: dict[tuple[str | None, str], Wire] = {}
    for wire in wires:
        if wire.channel is None:
            continue
        key = (wire.matrix, wire.channel)
        if key in seen:
            raise ValueError(
                f"wiring.lines: channel {wire.channel} of {wire.matrix} is on two wires:"
                f" {seen[key].line} to {seen[key].output}, {wire.line} to {wire.output}"
            )
        seen[key] = wire


def _check_scheme(station: StationView) -> None:
    drives = station.wiring.drive.named()
    lines = driven_lines(station.scheme)
    for key in required_drives(station.scheme):
        if key not in drives:
            raise ValueError(f"scheme {station.scheme} needs wiring.drive.{key}")
    for key in drives:
        if key not in lines:
            raise ValueError(f"wiring.drive.{key}: scheme {station.scheme} has no use for it")
    if len(set(drives.values())) < len(drives):
        raise ValueError("wiring.drive: one output cannot drive two things at different voltages")
    if ("gates" in lines) != (station.wiring.count("gate") > 0):
        raise ValueError("scheme 1T1R goes with gate lines, gate0 and on, and only it does")
    for key, kinds in lines.items():
        if key in drives:
            _check_reach(station, drives[key], kinds)


def _check_witness(station: StationView) -> None:
    witness = station.witness
    if witness is None:
        return
    lines = list(station.wiring.lines)
    for channel, line in witness.probes.items():
        if line not in lines:
            raise ValueError(f"witness.probes.{channel}: no line {line!r}{nearest(line, lines)}")
    addresses = {entry.address for entry in station.instruments.values() if not entry.is_virtual}
    if witness.address in addresses:
        raise ValueError(f"witness.address: {witness.address} is that of an instrument")


def _check_reach(station: StationView, output: str, kinds: Iterable[str]) -> None:
    reached = {wire.line for wire in station.wires() if wire.output == output}
    for kind in kinds:
        for n in range(station.wiring.count(kind)):
            if f"{kind}{n}" not in reached:
                raise ValueError(
                    f"scheme {station.scheme} cannot be made: {output} does not reach {kind}{n}"
                )
