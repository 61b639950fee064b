"""Bounds of the voltage that every cell can see, whatever the cells conduct.

The outputs that drive the lines are not ideal: each has a resistance in its lead and a limit of its
current, at which it leaves its level. Then a line is pulled by its cells, and a half-selected cell
sees more than its share in :mod:`hwloop.array.biasing`.

The lines of one place (selected row, selected column, other rows, other columns) that share an
output are one node. Between two nodes there are as many cells as lines cross, each of a conductance
from 0 to the array's highest. A node's voltage is the mean of its output's level and of its
neighbours' voltages, weighted by conductance. So it lies between them (maximum principle), and
where resistance and conductance are known, at most as far from its level as all the neighbours that
pull it away can pull it at their extremes. Every node starts between the lowest and the highest
level; each round narrows it by its neighbours, and every round is a bound.

An output whose most current is below its compliance holds its level. One that may be at its
compliance is a larger, unknown resistance: its lines lie between its level and their neighbours.
Levels are applied one after the other (:data:`hwloop.array.biasing.SWITCHING_ORDER`) and taken back
in reverse; every state on the way is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from hwloop.array.biasing import SCHEMES, SWITCHING_ORDER, DriveName, LineBias, Scheme, Stress
from hwloop.settings.units import format_quantity

SURE = 0.99
"""An output stays below its compliance up to this share of it: limits are accurate to 1 %."""
_ROUNDS = 60  # each is a bound; none that is needed narrows any more after as many
_GROUND = "ground"

Number = Fraction | float
Interval = tuple[Number, Number]


@dataclass(frozen=True)
class DriveCircuit:
    """An output on the lines: the resistance up to the array, ohms, and its current limit, amperes.

    ``compliance_a``: inf for an output that is limited by its resistance alone.
    """

    series_ohm: float = 0.0
    compliance_a: float = inf


@dataclass(frozen=True)
class _Bounds:
    """Bounds for 1 V on the selected cell.

    ``current_conductance_s``: most current of each drive, amperes a volt, in any state.
    """

    stress: Stress
    current_conductance_s: Mapping[str, float]


class LineBounds:
    """Bounds of the voltage on every cell of an array while one of them is selected.

    ``drives``: the outputs of the station by drive; a drive that is left out is ground.
    ``most_conductance_s``: of any cell; None where it is not known.
    """

    def __init__(
        self,
        scheme: Scheme,
        shape: tuple[int, int],
        *,
        drives: Mapping[DriveName, DriveCircuit],
        most_conductance_s: float | None = None,
    ) -> None:
        self._bias = SCHEMES[scheme]
        self._drives: dict[str, DriveCircuit] = {str(key): one for key, one in drives.items()}
        self._most_conductance_s = inf if most_conductance_s is None else most_conductance_s
        rows, cols = shape
        self._counts = {
            ("selected_row", "selected_col"): 1,
            ("selected_row", "other_cols"): cols - 1,
            ("other_rows", "selected_col"): rows - 1,
            ("other_rows", "other_cols"): (rows - 1) * (cols - 1),
        }
        if self._bias.gate is not None:  # the transistors of the other rows are off
            self._counts = {
                places: count if places[0] == "selected_row" else 0
                for places, count in self._counts.items()
            }
        self._known: dict[frozenset[str], _Bounds] = {}

    def stress(self, magnitude_v: float) -> Stress:
        """Return the largest voltages at a pulse of this magnitude, as fractions of it.

        ``selected`` is that of the selected cell itself while the row is at 0 V and the other
        levels stand: before its pulse, after it, and between the pulses of a train.
        """
        return self._bounds(self._limited(magnitude_v)).stress

    def reason(self, magnitude_v: float) -> str:
        """Return why the bound is what it is, for a message; "" where every line is held."""
        limited = self._limited(magnitude_v)
        parts = [
            f"{name} may be at its compliance of"
            f" {format_quantity(self._drives[name].compliance_a, 'A')}"
            for name in SWITCHING_ORDER
            if name in limited
        ]
        parts += [
            f"{name} is behind {format_quantity(drive.series_ohm, 'ohm')}"
            for name, drive in self._drives.items()
            if drive.series_ohm and name not in limited
        ]
        if parts and self._most_conductance_s == inf:
            parts.append("array.range, which would bound its current, is not given")
        return "; ".join(parts)

    def reading_conductance_s(self) -> float:
        """Return the most that the output on the rows supplies during a read, amperes a volt.

        inf where the conductance of the cells is not known.
        """
        _, links = self._network(frozenset())
        return sum(links["rows"].values()) * self._most_conductance_s

    def _limited(self, magnitude_v: float) -> frozenset[str]:
        """Return the drives that may be at their compliance; none comes there by itself later."""
        limited: frozenset[str] = frozenset()
        while True:
            most = self._bounds(limited).current_conductance_s
            more = limited | {
                name
                for name, drive in self._drives.items()
                if most.get(name, 0.0) * magnitude_v > SURE * drive.compliance_a
            }
            if more == limited:
                return limited
            limited = more

    def _bounds(self, limited: frozenset[str]) -> _Bounds:
        if limited not in self._known:
            self._known[limited] = self._bounds_of_all_states(limited)
        return self._known[limited]

    def _bounds_of_all_states(self, limited: frozenset[str]) -> _Bounds:
        seen = dict.fromkeys(self._counts, 0.0)
        selected, most = 0.0, dict.fromkeys(self._drives, 0.0)
        for on in range(len(SWITCHING_ORDER) + 1):
            driven = frozenset(SWITCHING_ORDER[:on])
            nodes, links = self._network(driven)
            ends = self._intervals(nodes, links, limited)
            for places, count in self._counts.items():
                row, col = (self._node(place) for place in places)
                across = 0.0 if row == col or not count else _across(ends[row], ends[col])
                if places == ("selected_row", "selected_col"):
                    selected = selected if "rows" in driven else max(selected, across)
                else:
                    seen[places] = max(seen[places], across)
            for name in most.keys() & nodes.keys():
                found = self._current_conductance_s(name, nodes, links, ends)
                most[name] = max(most[name], found)
        return _Bounds(
            Stress(
                seen["selected_row", "other_cols"],
                seen["other_rows", "selected_col"],
                seen["other_rows", "other_cols"],
                selected,
            ),
            most,
        )

    def _lines(self, place: str) -> LineBias:
        found: LineBias = getattr(self._bias, place)
        return found

    def _node(self, place: str) -> str:
        """Return the node of the lines of a place: their drive, ground, or the place if they float.

        The other lines of a floating scheme are a node each, but of equal bounds.
        """
        line = self._lines(place)
        if line.fraction is None:
            return place
        return line.drive if line.drive is not None and line.drive in self._drives else _GROUND

    def _network(
        self, driven: frozenset[str]
    ) -> tuple[dict[str, Fraction | None], dict[str, dict[str, int]]]:
        """Return the level of every node, None: no output holds it, and cells to its neighbours.

        ``driven``: the drives at their levels; the others are at 0 V.
        """
        nodes: dict[str, Fraction | None] = {}
        links: dict[str, dict[str, int]] = {}
        for places, count in self._counts.items():
            row, col = (self._node(place) for place in places)
            for place, node in zip(places, (row, col), strict=True):
                line = self._lines(place)
                level = line.fraction
                if level is not None and line.drive not in driven:
                    level = Fraction(0)
                nodes[node] = level
                links.setdefault(node, {})
            if row != col and count:
                for one, other in ((row, col), (col, row)):
                    links[one][other] = links[one].get(other, 0) + count
        return nodes, links

    def _intervals(
        self,
        nodes: Mapping[str, Fraction | None],
        links: Mapping[str, Mapping[str, int]],
        limited: frozenset[str],
    ) -> dict[str, Interval]:
        levels = [level for level in nodes.values() if level is not None]
        ends: dict[str, Interval] = dict.fromkeys(nodes, (min(levels), max(levels)))
        loose = []
        for name, level in nodes.items():
            ohm = self._drives[name].series_ohm if name in self._drives else 0.0
            if level is not None and not ohm and name not in limited:
                ends[name] = (level, level)
            else:
                loose.append((name, level, inf if name in limited or level is None else ohm))
        for _ in range(_ROUNDS if loose else 0):
            before = dict(ends)
            for name, level, ohm in loose:
                around = [(count, ends[other]) for other, count in links[name].items()]
                ends[name] = self._narrowed(level, ohm, around, before[name])
            if ends == before:
                break
        return ends

    def _narrowed(
        self,
        level: Fraction | None,
        ohm: float,
        around: list[tuple[int, Interval]],
        now: Interval,
    ) -> Interval:
        """Return the interval of a node by its level and its neighbours', within ``now``."""
        weight = ohm * self._most_conductance_s
        if level is None or weight == inf:
            own: Number = Fraction(0) if level is None else level  # a floating line comes from 0 V
            return (
                min([own, *(ends[0] for _, ends in around)]),
                max([own, *(ends[1] for _, ends in around)]),
            )
        high = _pulled(level, [(weight * count, ends[1]) for count, ends in around])
        low = -_pulled(-level, [(weight * count, -ends[0]) for count, ends in around])
        return max(low, now[0]), min(high, now[1])

    def _current_conductance_s(
        self,
        name: str,
        nodes: Mapping[str, Fraction | None],
        links: Mapping[str, Mapping[str, int]],
        ends: Mapping[str, Interval],
    ) -> float:
        """Return the most current of a drive, either way, amperes a volt on the selected cell."""
        (low, high), level = ends[name], nodes[name] or Fraction(0)
        out = sum(n * max(high - ends[other][0], 0) for other, n in links[name].items())
        into = sum(n * max(ends[other][1] - low, 0) for other, n in links[name].items())
        most = float(max(out, into))
        current_conductance_s = most * self._most_conductance_s if most else 0.0
        ohm = self._drives[name].series_ohm
        if ohm:
            through = float(max(level - low, high - level)) / ohm
            current_conductance_s = min(current_conductance_s, through)
        return current_conductance_s


def _pulled(level: Number, pulls: Iterable[tuple[float, Number]]) -> Number:
    """Return how high neighbours pull a node above its level, by weight and highest voltage."""
    value, total = level, 1.0
    for weight, end in sorted(pulls, key=lambda pull: pull[1], reverse=True):
        if end <= value:
            break
        value = (float(value) * total + weight * float(end)) / (total + weight)
        total += weight
    return value


def _across(row: Interval, col: Interval) -> float:
    return float(max(row[1] - col[0], col[1] - row[0]))
