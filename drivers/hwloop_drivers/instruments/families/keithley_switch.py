"""Base of the drivers of Keithley's switch mainframes that speak TSP."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.matrix import VerifiedMatrix
from hwloop_drivers.instruments.families.tsp import TspInstrument
from hwloop_drivers.links.link import Link, LinkSettings

CLOSED = "channel.getclose('allslots')"


class KeithleySwitch(TspInstrument, VerifiedMatrix):
    """A mainframe with cards; every change is one message, answered by the closed channels.

    ``cards``: the card in each slot that the station uses.
    """

    def __init__(self, link: Link, settings: LinkSettings, cards: Mapping[int, str]) -> None:
        super().__init__(link, settings)
        self._cards = dict(sorted(cards.items()))
        self._channels = [
            channel for slot, card in self._cards.items() for channel in self.channels(slot, card)
        ]
        self._known = frozenset(self._channels)

    @staticmethod
    @abstractmethod
    def channels(slot: int, card: str) -> list[str]:
        """Return the channels of a card, in the order of its numbering."""

    @staticmethod
    def reported(card: str) -> str:
        """Return the name by which a slot tells a card, where it is another than the card's."""
        return card

    @override
    def verify_identity(self) -> None:
        super().verify_identity()
        for slot, card in self._cards.items():
            reply = self.link.query(f"print(slot[{slot}].idn)").strip()
            if "PSEUDO" in reply.upper():
                raise UnexpectedReply(
                    f"{self.link.address}: slot {slot} holds a pseudocard, {reply!r}: it has no"
                    " relays; set its pseudocard to slot.PSEUDO_NONE and check the slot"
                )
            if reply.partition(",")[0].strip().upper() not in {card, self.reported(card)}:
                raise UnexpectedReply(
                    f"{self.link.address}: expected a {card} in slot {slot}, found {reply!r};"
                    " check the station's cards"
                )

    @override
    def reset(self) -> None:
        # Every channel open; a change closes before it opens, so that no line floats.
        super().reset()
        self._set_word_confirmed("channel.connectrule", "channel.MAKE_BEFORE_BREAK")

    @override
    def read_back(self) -> dict[str, object]:
        cards = {
            f"slot_{slot}": self.link.query(f"print(slot[{slot}].idn)") for slot in self._cards
        }
        return {"connectrule": self._ask("channel.connectrule"), **cards}

    @property
    @override
    def closed(self) -> frozenset[str]:
        return self._parsed(self.link.query(f"print({CLOSED})"))

    @override
    def refuse_channel(self, channel: str) -> None:
        if channel not in self._known:
            raise Unsupported(
                f"{channel!r} is no channel here: {self._channels[0]} to {self._channels[-1]}, of"
                f" {', '.join(f'{c} in slot {s}' for s, c in self._cards.items())}"
            )

    @override
    def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
        self._refuse((*close, *open_))
        wanted = (self.closed | set(close)) - set(open_)
        if not wanted:
            self.open_all()
            return
        if self.link.query("print(channel.connectrule == channel.MAKE_BEFORE_BREAK)") != "true":
            raise InstrumentFault(
                f"{self.link.address}: channel.connectrule is not MAKE_BEFORE_BREAK any more"
            )
        closed = self._switched(f"channel.exclusiveclose('{','.join(sorted(wanted))}')")
        self._fault("did not become what was asked", closed ^ wanted)

    @override
    def _close(self, channels: Sequence[str]) -> frozenset[str]:
        return self._switched(f"channel.close('{','.join(channels)}')")

    @override
    def _open(self, channels: Sequence[str]) -> frozenset[str]:
        return self._switched(f"channel.open('{','.join(channels)}')")

    @override
    def _open_everything(self) -> frozenset[str]:
        return self._switched("channel.open('allslots')")

    def _switched(self, command: str) -> frozenset[str]:
        """Send a command; return the closed channels once the relays have settled."""
        closed = self._parsed(self.link.query(f"{command} waitcomplete() print({CLOSED})"))
        if self._errors == "each":
            self._raise_errors()
        return closed

    def _parsed(self, reply: str) -> frozenset[str]:
        text = reply.strip()
        if text == "nil":
            return frozenset()
        if "(" in text:
            raise UnexpectedReply(
                f"{self.link.address}: {CLOSED} answered {text!r}: channels are closed in pairs, as"
                " four-pole ones are; switch the card to two poles"
            )
        closed = frozenset(part.strip() for part in text.replace(",", ";").split(";"))
        if not all(part.isalnum() for part in closed):
            raise UnexpectedReply(f"{self.link.address}: {CLOSED} answered {text!r}")
        return closed
