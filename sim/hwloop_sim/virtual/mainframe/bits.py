"""Bit operations of TSP on numbers of 32 bits, positions from 1: topics *bit* of the 2600B."""

from __future__ import annotations

from hwloop_sim.virtual.languages.tsp_tables import Node, as_number, within

WIDTH = 32


def declare_bits(root: Node) -> None:
    """Declare the table ``bit`` with its functions."""
    node = root.node("bit")
    node.function("bitand", lambda a, b: float(_whole(a) & _whole(b)))
    node.function("bitor", lambda a, b: float(_whole(a) | _whole(b)))
    node.function("bitxor", lambda a, b: float(_whole(a) ^ _whole(b)))
    node.function("get", lambda value, index: float(_whole(value) & _bit(index)))
    node.function("test", lambda value, index: bool(_whole(value) & _bit(index)))
    node.function("set", lambda value, index: float(_whole(value) | _bit(index)))
    node.function("clear", lambda value, index: float(_whole(value) & ~_bit(index)))
    node.function("toggle", lambda value, index: float(_whole(value) ^ _bit(index)))
    node.function("getfield", _get_field)
    node.function("setfield", _set_field)


def _whole(value: object) -> int:
    return int(within(as_number(value), 0, 2**WIDTH - 1))


def _bit(index: object) -> int:
    return 1 << int(within(as_number(index), 1, WIDTH)) - 1


def _field(index: object, width: object) -> tuple[int, int]:
    """Return the place of a field's lowest bit and its mask, unshifted."""
    place = int(within(as_number(index), 1, WIDTH)) - 1
    return place, (1 << int(within(as_number(width), 1, WIDTH - place))) - 1


def _get_field(value: object, index: object, width: object) -> float:
    place, mask = _field(index, width)
    return float(_whole(value) >> place & mask)


def _set_field(value: object, index: object, width: object, field: object) -> float:
    place, mask = _field(index, width)
    return float(_whole(value) & ~(mask << place) | (_whole(field) & mask) << place)
