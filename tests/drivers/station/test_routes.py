"""The order in which relays move from one connection of lines to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from hwloop.errors import Unsupported
from hwloop.station.station import Station
from hwloop_drivers.station.routes import Routes

Moves = list[tuple[str, str, list[str]]]

LINES = {
    "row0": {"src": "one:r0s", "gnd": "two:r0g"},
    "row1": {"src": "one:r1s", "gnd": "two:r1g"},
    "col0": {"met": "one:c0m", "gnd": "two:c0g"},
    "col1": {"met": "one:c1m", "gnd": "two:c1g"},
}
GROUNDED = {"one": frozenset(), "two": frozenset({"r0g", "r1g", "c0g", "c1g"})}


class Matrix:
    """A switch matrix that notes each movement in ``moves``, which it shares with others."""

    def __init__(self, name: str, moves: Moves, closed: Sequence[str] = ()) -> None:
        self.name, self.moves, self.closed = name, moves, frozenset(closed)

    def close_channels(self, channels: Sequence[str]) -> None:
        self.moves.append((self.name, "close", list(channels)))
        self.closed |= set(channels)

    def open_channels(self, channels: Sequence[str]) -> None:
        self.moves.append((self.name, "open", list(channels)))
        self.closed -= set(channels)


def _station(lines: Mapping[str, Any]) -> Station:
    names = ("src", "met", "one", "two")
    return Station.parse(
        {
            "name": "two_matrices",
            "scheme": "V/2",
            "instruments": {name: {"kind": "any", "address": "virtual:socket"} for name in names},
            "wiring": {"drive": {"rows": "src", "columns": "met"}, "lines": dict(lines)},
            "virtual": {},
        }
    )


def _routes(
    lines: Mapping[str, Any] = LINES, **closed: Sequence[str]
) -> tuple[Routes, Moves, SimpleNamespace]:
    moves: Moves = []
    boxes = {name: Matrix(name, moves, closed.get(name, ())) for name in ("one", "two")}
    return Routes(_station(lines), boxes), moves, SimpleNamespace(**boxes)  # type: ignore[arg-type]


def test_at_the_beginning_every_line_is_grounded_before_anything_opens() -> None:
    routes, moves, boxes = _routes(one=["r1s", "c0m"], two=["r0g"])
    routes.begin()
    assert moves == [
        ("one", "close", []),
        ("one", "open", ["c0m", "r1s"]),
        ("two", "close", ["c0g", "c1g", "r0g", "r1g"]),
    ]
    assert {"one": boxes.one.closed, "two": boxes.two.closed} == GROUNDED


def test_what_closes_in_every_matrix_does_so_before_anything_opens_in_any() -> None:
    routes, moves, boxes = _routes()
    routes.begin()
    moves.clear()
    assert routes.route({"row0": "src", "col1": "met"})
    assert moves == [("one", "close", ["c1m", "r0s"]), ("two", "open", ["c1g", "r0g"])]
    moves.clear()
    assert routes.route({"row1": "src", "col1": "met"})
    assert moves == [
        ("one", "close", ["r1s"]),
        ("two", "close", ["r0g"]),
        ("one", "open", ["r0s"]),
        ("two", "open", ["r1g"]),
    ]
    moves.clear()
    assert routes.route({})
    assert moves == [("two", "close", ["c1g", "r1g"]), ("one", "open", ["c1m", "r1s"])]
    assert {"one": boxes.one.closed, "two": boxes.two.closed} == GROUNDED


def test_no_relay_moves_where_the_lines_are_connected_as_wanted() -> None:
    routes, moves, _ = _routes()
    routes.begin()
    routes.route({"row0": "src"})
    moves.clear()
    assert not routes.route({"row0": "src"})
    assert moves == []


def test_a_line_that_floats_is_connected_to_nothing() -> None:
    routes, moves, _ = _routes()
    assert routes.channels({"row1": None, "col0": "met"}) == {
        "one": frozenset({"c0m"}),
        "two": frozenset({"r0g", "c1g"}),
    }
    routes.begin()
    moves.clear()
    assert routes.route({"row1": None})
    assert moves == [("two", "open", ["r1g"])]
    assert routes.route({})
    assert moves[1:] == [("two", "close", ["r1g"])]


def test_a_soldered_line_needs_no_channel_and_goes_nowhere_else() -> None:
    one_row = {key: ends for key, ends in LINES.items() if key != "row1"} | {"row0": "src"}
    routes, _, _ = _routes(one_row)
    whole = {"one": frozenset({"c0m"}), "two": frozenset({"c1g"})}
    assert routes.channels({"row0": "src", "col0": "met"}) == whole
    assert routes.channels({"row0": "gnd", "col0": "met"}) == whole  # at 0 V when its output is
    assert routes.channels({"col0": "met"}) == whole
    with pytest.raises(Unsupported, match=r"^row0 is soldered to src: cannot float$"):
        routes.channels({"row0": None})
    with pytest.raises(Unsupported, match=r"^row0 is soldered to src, not met$"):
        routes.channels({"row0": "met"})
