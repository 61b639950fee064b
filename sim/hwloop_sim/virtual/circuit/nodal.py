"""A nodal solver for a bench: voltage sources that become current sources at their limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np

from hwloop.station.parts import GROUND
from hwloop.types import FloatArray

LEAKAGE_CONDUCTANCE_S = 1e-15  # from an open relay to ground: above 1e14 ohm, Keithley 7072 card
LEAST_OHM = 1e-6  # of an output: keeps two outputs on one node solvable, as their leads would


@dataclass(frozen=True)
class Drive:
    """The drive of an output; ``volts`` None: not connected.

    ``on`` False with volts: switched off, but held there, as many sources do at 0 V.
    """

    volts: float | None = None
    limit_a: float = inf
    series_ohm: float = 0.0
    on: bool = True


class Nodes:
    """The nodes that joined names form; node 0 is ground."""

    def __init__(self, names: Iterable[str], joined: Iterable[tuple[str, str]]) -> None:
        self._parent = {name: name for name in names}
        for one, other in joined:
            first, second = self._root(one), self._root(other)
            if first != second:
                # Ground stays the root of whatever is joined to it.
                first, second = (second, first) if second == GROUND else (first, second)
                self._parent[second] = first
        roots = [GROUND, *(n for n in self._parent if self._root(n) == n and n != GROUND)]
        numbers = {root: number for number, root in enumerate(roots)}
        self._numbers = {name: numbers[self._root(name)] for name in self._parent}
        self.count = len(roots)

    def index(self, name: str) -> int:
        """Return the number of the node that a name belongs to."""
        return self._numbers[name]

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name


@dataclass(frozen=True)
class NodalSolution:
    """Voltage of every node, amperes out of every output, and the outputs at their limit."""

    nodes: Nodes
    node_v: FloatArray
    amperes: dict[str, float]
    limited: frozenset[str]

    def volts(self, name: str) -> float:
        """Return the voltage of the node that a name belongs to."""
        return float(self.node_v[self.nodes.index(name)])


def solve(nodes: Nodes, drives: dict[str, Drive], cells: FloatArray) -> NodalSolution:
    """Solve the node voltages; outputs beyond their limit become current sources, one by one.

    ``cells``: (nodes, nodes), siemens, the nodal matrix of the array between its terminals.
    """
    limited: dict[str, float] = {}
    while True:
        node_v = _node_volts(nodes, drives, cells, limited)
        amperes = _currents(nodes, drives, cells, limited, node_v)
        excess = {
            name: abs(amperes[name]) / drive.limit_a
            for name, drive in drives.items()
            if name not in limited and abs(amperes[name]) > drive.limit_a * (1 + 1e-9)
        }
        if not excess:
            return NodalSolution(nodes, node_v, amperes, frozenset(limited))
        name = max(excess, key=lambda name: excess[name])
        limited[name] = float(np.copysign(drives[name].limit_a, amperes[name]))


def _currents(
    nodes: Nodes,
    drives: dict[str, Drive],
    cells: FloatArray,
    limited: dict[str, float],
    node_v: FloatArray,
) -> dict[str, float]:
    """Return the current out of every output, amperes.

    That of an output alone on its node is the current of the cells there: the drop over its own
    resistance is the difference of two nearly equal voltages, and would round away.
    """
    taken = cells @ node_v + LEAKAGE_CONDUCTANCE_S * node_v
    amperes = dict.fromkeys(drives, 0.0) | limited
    sources: dict[int, list[str]] = {}
    for name, drive in drives.items():
        if name in limited:
            taken[nodes.index(name)] -= limited[name]
        elif drive.volts is not None:
            sources.setdefault(nodes.index(name), []).append(name)
    for node, names in sources.items():
        for name in names:
            drive = drives[name]
            if len(names) == 1 and node != 0:
                amperes[name] = float(taken[node])
            elif drive.volts is not None:
                ohm = max(drive.series_ohm, LEAST_OHM)
                amperes[name] = (drive.volts - float(node_v[node])) / ohm
    return amperes


def _node_volts(
    nodes: Nodes, drives: dict[str, Drive], cells: FloatArray, limited: dict[str, float]
) -> FloatArray:
    matrix = cells + np.eye(nodes.count) * LEAKAGE_CONDUCTANCE_S
    sources = np.zeros(nodes.count)
    for name, drive in drives.items():
        if drive.volts is None:
            continue
        node = nodes.index(name)
        if name in limited:
            sources[node] += limited[name]
            continue
        conductance_s = 1.0 / max(drive.series_ohm, LEAST_OHM)
        matrix[node, node] += conductance_s
        sources[node] += drive.volts * conductance_s
    node_v = np.zeros(nodes.count)
    if nodes.count > 1:
        node_v[1:] = np.linalg.solve(matrix[1:, 1:], sources[1:])
    return node_v
