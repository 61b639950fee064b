"""Common parts of Keithley's switch mainframes in TSP: slots, cards, the ``channel`` table.

After the 707B/708B reference manual, 707B-901-01, and the Series 3700A's, 3700AS-901-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop_sim.virtual.circuit.relays import Relays
from hwloop_sim.virtual.languages.tsp import VirtualTspInstrument
from hwloop_sim.virtual.languages.tsp_tables import Cell, TspError, as_number, within

ILLEGAL = TspError(-224, "Illegal parameter value")
FORBIDDEN = TspError(-221, "Settings conflict: channel is forbidden to close")
OFF, BREAK_BEFORE_MAKE, MAKE_BEFORE_BREAK = 0, 1, 2
MOST_DELAY_S = 60.0
NO_INTERLOCK = None
ALL_SLOTS = "allslots"


@dataclass(frozen=True)
class Card:
    """A card as its slot describes it; ``rows`` None is no matrix."""

    about: str
    settle_s: float
    rows: int | None = None
    columns: int | None = None
    interlock: float | None = NO_INTERLOCK
    reported: str = ""
    """The first field of ``slot[n].idn``, where it is not the card's own name."""


class TspSwitch(VirtualTspInstrument):
    """A switch mainframe; ``cards`` in the settings: the card in each slot."""

    slots: ClassVar[int]
    cards: ClassVar[Mapping[str, Card]]
    default_card: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = self._settings.get("cards", {1: self.default_card})
        if not isinstance(given, Mapping):
            raise TypeError(f"cards {given!r}: a mapping from slots to cards")
        self.installed = {int(slot): str(card) for slot, card in sorted(given.items())}
        for slot, name in self.installed.items():
            if name not in self.cards or not 1 <= slot <= self.slots:
                raise ConfigError(f"no virtual card {name!r} for slot {slot}", key="settings.cards")
        order = [
            channel
            for slot, card in self.installed.items()
            for channel in self.channels(slot, self.cards[card])
        ]
        slowest_s = max(self.cards[card].settle_s for card in self.installed.values())
        self.relays = Relays(self._name, self._circuit, self._clock, order, settle_s=slowest_s)
        self._rule = Cell(BREAK_BEFORE_MAKE, choices=(OFF, BREAK_BEFORE_MAKE, MAKE_BEFORE_BREAK))
        self._sequential = Cell(0, choices=(0, 1))
        self._forbidden: frozenset[str] = frozenset()
        self._delay_s: dict[str, float] = {}
        self._patterns: dict[str, list[str]] = {}
        self._declare_slots()
        self._declare_switching()
        self._declare_settings()
        self._declare_patterns()

    @staticmethod
    def channels(slot: int, card: Card) -> list[str]:
        """Return the channels of a card, in the order of the instrument."""
        raise NotImplementedError

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def reset(self) -> None:
        self._rule.reset()
        self._sequential.reset()
        self._forbidden = frozenset()
        self._delay_s.clear()
        self._patterns.clear()
        self.relays.become(frozenset())

    def _declare_slots(self) -> None:
        for slot in range(1, self.slots + 1):
            name = self.installed.get(slot)
            node = self.root.node(f"slot[{slot}]")
            if name is None:
                node.constant("idn", "Empty Slot")
                for path in ("rows.matrix", "columns.matrix", "interlock.state"):
                    node.constant(path, None)
                continue
            card = self.cards[name]
            node.constant("idn", f"{card.reported or name},{card.about},01.00a,{slot:07d}")
            node.constant("rows.matrix", None if card.rows is None else float(card.rows))
            node.constant("columns.matrix", None if card.columns is None else float(card.columns))
            node.constant("interlock.state", card.interlock)

    def _declare_switching(self) -> None:
        channel = self.root.node("channel")
        channel.constants(
            OFF=OFF,
            ON=1,
            BREAK_BEFORE_MAKE=BREAK_BEFORE_MAKE,
            MAKE_BEFORE_BREAK=MAKE_BEFORE_BREAK,
        )
        channel.on("connectrule", get=self._rule.get, set=self._rule.set)
        channel.on("connectsequential", get=self._sequential.get, set=self._sequential.set)
        channel.function("close", self._close)
        channel.function("open", self._open)
        channel.function("exclusiveclose", self._exclusive)
        channel.function("exclusiveslotclose", self._exclusive_slot)
        channel.function("getclose", self._get_close)
        channel.function("getstate", self._get_state)

    def _declare_settings(self) -> None:
        channel = self.root.node("channel")
        channel.function("reset", self._reset_channels)
        channel.function("setforbidden", self._set_forbidden)
        channel.function("getforbidden", self._get_forbidden)
        channel.function("clearforbidden", self._clear_forbidden)
        channel.function("setdelay", self._set_delay)
        channel.function("getdelay", self._get_delay)

    def _declare_patterns(self) -> None:
        pattern = self.root.node("channel.pattern")
        pattern.function("setimage", self._set_image)
        pattern.function("getimage", lambda name: ",".join(self._image(str(name))))
        pattern.function("delete", self._delete_image)
        pattern.function("catalog", lambda: list(self._patterns))

    def _listed(self, text: Any, *, slots: bool = True) -> list[str]:
        """Return the channels of a list of channels, ranges, patterns, and slots where allowed."""
        if not isinstance(text, str):
            raise TspError(-104, "Data type error")
        found: dict[str, None] = {}
        for part in (word.strip() for word in text.replace(";", ",").split(",")):
            found.update(dict.fromkeys(self._part(part, slots=slots)))
        return list(found)

    def _part(self, part: str, *, slots: bool) -> list[str]:
        if part in self._patterns:
            return self._patterns[part]
        if slots and part == ALL_SLOTS:
            return self.relays.order
        if slots and part.startswith("slot") and part[4:].isdigit():
            if int(part[4:]) in self.installed:
                return [c for c in self.relays.order if c[0] == part[4:]]
            raise ILLEGAL
        first, colon, last = part.partition(":")
        try:
            found = self.relays.between(first, last if colon else first)
        except KeyError:
            raise ILLEGAL from None
        if not found:  # the lowest channel must come first
            raise ILLEGAL
        return found

    def _wanted(self, text: Any) -> frozenset[str]:
        """Return the channels to be closed; TspError if any of them is forbidden."""
        wanted = frozenset(self._listed(text, slots=False))
        if wanted & self._forbidden:
            raise FORBIDDEN
        return wanted

    def _close(self, text: Any) -> None:
        self._become(self.relays.closed | self._wanted(text))

    def _open(self, text: Any) -> None:
        self._become(self.relays.closed - set(self._listed(text)))

    def _exclusive(self, text: Any) -> None:
        """Close these channels only; an empty list opens everything."""
        self._become(self._wanted(text) if text != "" else frozenset())

    def _exclusive_slot(self, text: Any) -> None:
        wanted = self._wanted(text)
        touched = {channel[0] for channel in wanted}
        self._become(wanted | {c for c in self.relays.closed if c[0] not in touched})

    def _become(self, wanted: frozenset[str]) -> None:
        """Switch by the connection rule; the delays of closing channels follow the settling."""
        before = self.relays.closed
        steps: dict[float, list[frozenset[str]]] = {
            OFF: [wanted],
            BREAK_BEFORE_MAKE: [before & wanted, wanted],
            MAKE_BEFORE_BREAK: [before | wanted, wanted],
        }
        for step in steps[self._rule.value]:
            self.relays.become(step)
        delays = [self._delay_s.get(channel, 0.0) for channel in wanted - before]
        self._clock.advance(max(delays, default=0.0))

    def _get_close(self, text: Any) -> tuple[str | None]:
        """Return the closed channels joined by semicolons; nil for none."""
        asked = set(self._listed(text))
        return (";".join(self.relays.in_order(self.relays.closed & asked)) or None,)

    def _get_state(self, text: Any) -> str:
        return ",".join(str(int(c in self.relays.closed)) for c in self._listed(text))

    def _reset_channels(self, text: Any) -> None:
        asked = self._listed(text)
        self._forbidden -= set(asked)
        for channel in asked:
            self._delay_s.pop(channel, None)
        self._become(self.relays.closed - set(asked))

    def _set_forbidden(self, text: Any) -> None:
        asked = set(self._listed(text))
        self._forbidden |= asked
        self._become(self.relays.closed - asked)

    def _clear_forbidden(self, text: Any) -> None:
        self._forbidden -= set(self._listed(text))

    def _get_forbidden(self, text: Any) -> tuple[str | None]:
        """Return the forbidden channels joined by commas; nil for none."""
        asked = set(self._listed(text))
        return (",".join(self.relays.in_order(self._forbidden & asked)) or None,)

    def _set_delay(self, text: Any, delay_s: Any) -> None:
        wanted_s = within(as_number(delay_s), 0.0, MOST_DELAY_S)
        self._delay_s.update(dict.fromkeys(self._listed(text), wanted_s))

    def _get_delay(self, text: Any) -> str:
        return ",".join(f"{self._delay_s.get(c, 0.0):.5e}" for c in self._listed(text))

    def _set_image(self, text: Any, name: Any) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise ILLEGAL
        self._patterns[name] = self._listed(text, slots=False)

    def _image(self, name: str) -> list[str]:
        if name not in self._patterns:
            raise ILLEGAL
        return self._patterns[name]

    def _delete_image(self, name: Any) -> None:
        self._image(str(name))
        del self._patterns[str(name)]
