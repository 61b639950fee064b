"""Configuration lists of a 2450: settings of source or meter, kept to be recalled one by one.

Topics *smu.source.configlist* and *smu.measure.configlist* of Keithley's help, and the tables of
the settings that a list keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hwloop_sim.virtual.instruments.keithley_2450.core import Core
from hwloop_sim.virtual.languages.tsp_tables import Node, TspError, as_number, as_word

NO_LIST = TspError(1130, "Parameter, expected the name of a configuration list")
NO_INDEX = TspError(1130, "Parameter, expected an index of the configuration list")
Settings = dict[str, Any]


@dataclass
class ConfigList:
    """Settings in their order, and the index from 1 that was recalled last, 0 for none."""

    entries: list[Settings] = field(default_factory=list)
    at: int = 0


class ConfigLists:
    """All lists of source or of meter; ``keep`` and ``recall`` act on the instrument."""

    def __init__(self, keep: Callable[[], Settings], recall: Callable[[Settings], None]) -> None:
        self._keep, self._recall = keep, recall
        self.lists: dict[str, ConfigList] = {}
        self._untold: list[str] | None = None

    def named(self, name: Any) -> ConfigList:
        """Return a list by its name; TspError where there is none."""
        if as_word(name) not in self.lists:
            raise NO_LIST
        return self.lists[name]

    def store(self, name: Any, index: Any = None) -> None:
        """Keep the present settings, at an index or at the end."""
        entries = self.named(name).entries
        place = len(entries) if index is None else int(as_number(index)) - 1
        if not 0 <= place <= len(entries):
            raise NO_INDEX
        entries[place : place + 1] = [self._keep()]

    def recall(self, name: Any, index: Any = 1) -> None:
        """Set what is kept at an index."""
        found, place = self.named(name), int(as_number(index))
        if not 1 <= place <= len(found.entries):
            raise NO_INDEX
        found.at = place
        self._recall(found.entries[place - 1])

    def recall_next(self, name: Any) -> None:
        """Set what is kept after the last index; the first after the end, and at first."""
        found = self.named(name)
        self.recall(name, found.at % len(found.entries) + 1 if found.entries else 1)

    def rewind(self) -> None:
        """Forget which indexes were recalled."""
        for each in self.lists.values():
            each.at = 0

    def delete(self, name: Any, index: Any = None) -> None:
        """Delete a list, or the settings at one index of it."""
        entries, place = self.named(name).entries, None if index is None else as_number(index)
        if place is None:
            del self.lists[name]
        elif 1 <= place <= len(entries):
            del entries[int(place) - 1]
        else:
            raise NO_INDEX

    def declare(self, node: Node, taken: Callable[[str], bool]) -> None:
        """Declare ``configlist``; ``taken`` tells whether a name is in use already."""

        def create(name: Any) -> None:
            if not isinstance(name, str) or taken(name):
                raise NO_LIST
            self.lists[name] = ConfigList()

        node.function("create", create)
        node.function("store", self.store)
        node.function("recall", self.recall)
        node.function("delete", self.delete)
        node.function("size", lambda name: float(len(self.named(name).entries)))
        node.function("catalog", self._next_name)

    def _next_name(self) -> tuple[str | None]:
        """Return one name a call, and nil after the last, as the topic *catalog()* says."""
        if self._untold is None:
            self._untold = list(self.lists)
        if not self._untold:
            self._untold = None
            return (None,)
        return (self._untold.pop(0),)


def source_lists(core: Core) -> ConfigLists:
    """Return the lists of source settings of a 2450."""
    smu = core.smu
    by_function = ("levels", "source_range", "source_auto", "limits")
    of_core = ("delay_s", "delay_auto", "readback")

    def keep() -> Settings:
        function = smu.function
        kept = {name: getattr(smu, name)[function] for name in by_function}
        kept |= {name: getattr(core.now, name)[function] for name in of_core}
        return kept | {"function": function, "off_mode": smu.off_mode, "highc": core.now.highc}

    def recall(kept: Settings) -> None:
        function = kept["function"]
        for name in of_core:
            getattr(core.now, name)[function] = kept[name]
        core.now.highc = kept["highc"]
        smu.recall_source(function, {name: kept[name] for name in by_function}, kept["off_mode"])

    return ConfigLists(keep, recall)


def measure_lists(core: Core) -> ConfigLists:
    """Return the lists of measure settings of a 2450."""
    smu = core.smu
    of_core = ("nplc", "autozero", "four_wire", "averages", "offset_compensated")

    def keep() -> Settings:
        measures, ranged = core.now.measures, core.measured_range()
        kept = {name: getattr(core.now, name) for name in of_core}
        kept |= {"range": smu.measure_range[ranged], "auto": smu.measure_auto[ranged]}
        kept |= {"rebound": smu.rebound, "unit": core.now.units.get(measures)}
        return kept | {"measures": measures}

    def recall(kept: Settings) -> None:
        for name in (*of_core, "measures"):
            setattr(core.now, name, kept[name])
        core.now.units[kept["measures"]] = kept["unit"]
        smu.rebound = kept["rebound"]
        ranged = core.measured_range()
        if kept["auto"]:
            smu.measure_auto[ranged] = True
        else:
            smu.set_measure_range(ranged, kept["range"])

    return ConfigLists(keep, recall)
