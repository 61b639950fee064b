"""Keysight E5250A low-leakage switch mainframe (SCPI) with E5252A 10 × 12 matrix cards.

Normal configuration, free connection rule, bias port. A channel is card, input port (01 to 10) and
output port (01 to 12): 10101.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field, field_validator
from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.identified import KEYSIGHT
from hwloop_drivers.instruments.families.matrix import VerifiedMatrix
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings

INPUTS, OUTPUTS = 10, 12
_CHANNEL = re.compile(r"([1-4])(0[1-9]|10)(0[1-9]|1[0-2])")
_LIST = re.compile(r"\(?@?((?:\d{5})(?:,\d{5})*)?\)?")


class KeysightE5250ASettings(LinkSettings):
    """Settings of an E5250A. ``cards``: the slots with an E5252A.

    ``bias_port``: the input port, 1 to 10, to which every output is connected that has no channel:
    the half-select voltage, or ground, without a channel for each line. None: such outputs float.
    """

    cards: tuple[int, ...] = (1,)
    bias_port: int | None = Field(default=None, ge=1, le=INPUTS)

    @field_validator("cards")
    @classmethod
    def _slots(cls, cards: tuple[int, ...]) -> tuple[int, ...]:
        if not cards or len(set(cards)) < len(cards) or not set(cards) <= {1, 2, 3, 4}:
            raise ValueError(f"cards {list(cards)}: different slots from 1 to 4")
        return cards


class KeysightE5250A(ScpiInstrument, VerifiedMatrix):
    """A mainframe whose cards are matrices of their own."""

    makers, models, near = KEYSIGHT, ("E5250A",), ("B2200A", "B2201A")

    def __init__(self, link: Link, settings: KeysightE5250ASettings) -> None:
        super().__init__(link, settings)
        self._cards = settings.cards
        self._bias_port = settings.bias_port
        self._normal = False

    @override
    def reset(self) -> None:
        super().reset()
        self._normal = False
        self._make_normal()
        for card in self._cards:
            self._confirm(":ROUT:CONN:RULE", card, "FREE")
            self._prefer_make_before_break(card)
        self.set_bias(self._bias_port)

    def _prefer_make_before_break(self, card: int) -> None:
        """Put a line on its new input before it leaves the bias port, where the mainframe can.

        By the guide (5-10) a sequence is for cards with the single-route rule: an error under the
        free rule, which is set here, is no fault. Lines change at 0 V either way.
        """
        header = ":ROUT:CONN:SEQ"
        self.link.write(f"{header} {card},MBBR")
        try:
            self._raise_errors()
        except InstrumentFault:
            return
        reply = self.link.query(f"{header}? {card}").strip()
        if reply != "MBBR":
            raise InstrumentFault(
                f"{self.link.address}: {header} of card {card} was set to MBBR but reads back"
                f" {reply!r}"
            )

    def set_bias(self, port: int | None) -> None:
        """Put every output that no channel connects on this input port; None: let them float.

        At 0 V on the bias port only: it connects every free output at once. Channels of the port
        itself are refused from then on. All settings are read back and compared.
        """
        if port is not None and not 1 <= port <= INPUTS:
            raise Unsupported(f"bias port {port}: an E5252A has the input ports 1 to {INPUTS}")
        for card in self._cards:
            self._confirm(":ROUT:BIAS:STAT", card, "OFF", answers="0")
            if port is not None:
                self._confirm(":ROUT:BIAS:PORT", card, str(port))
                self._set(f":ROUT:BIAS:CHAN:ENAB:CARD {card}")
                self._confirm(":ROUT:BIAS:STAT", card, "ON", answers="1")
        self._bias_port = port

    @override
    def read_back(self) -> dict[str, object]:
        return {f"bias_port_{card}": self._bias(card) for card in self._cards}

    @property
    @override
    def closed(self) -> frozenset[str]:
        # The closed channels, those to the bias port excepted: they follow from the others.
        found: set[str] = set()
        if self.link.query(":ROUT:FUNC?").strip() == "ACON":
            self._refuse_automatic()
            return frozenset()
        for card in self._cards:
            question = f":ROUT:CLOS:CARD? {card}"
            reply = self.link.query(question).strip().replace(" ", "")
            match = _LIST.fullmatch(reply)
            if match is None:
                raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
            found |= set((match[1] or "").split(",")) - {""}
        bias = "" if self._bias_port is None else f"{self._bias_port:02d}"
        return frozenset(channel for channel in found if channel[1:3] != bias)

    def _refuse_automatic(self) -> None:
        """Raise unless all is open in automatic configuration, as after a reset by another.

        Its cards have no numbers of their own then: their channels cannot be asked for.
        """
        self._normal = False
        reply = self.link.query(":ROUT:CLOS:CARD? 0").strip()
        if reply.strip("(@)"):
            raise InstrumentFault(
                f"{self.link.address}: it is in automatic configuration, not by this driver, with"
                f" {reply} closed"
            )

    @override
    def refuse_channel(self, channel: str) -> None:
        # A card of the settings, an input port other than the bias port, an output port.
        match = _CHANNEL.fullmatch(channel)
        if match is None or int(match[1]) not in self._cards:
            raise Unsupported(
                f"{channel!r} is no channel of this E5250A: card"
                f" {' or '.join(map(str, self._cards))}, input 01 to {INPUTS}, output 01 to"
                f" {OUTPUTS}, as 10101"
            )
        if int(match[2]) == self._bias_port:
            raise Unsupported(
                f"{channel!r}: input {match[2]} is the bias port; an output is on it by being on"
                " nothing else"
            )

    def _make_normal(self) -> None:
        """Make channels go by card; asked first, since a change opens every channel."""
        if not self._normal and self.link.query(":ROUT:FUNC?").strip() != "NCON":
            self._set_word_confirmed(":ROUT:FUNC", "NCON")
        self._normal = True

    @override
    def _close(self, channels: Sequence[str]) -> frozenset[str]:
        self._make_normal()
        self._set_finished(f":ROUT:CLOS (@{','.join(channels)})")
        return self.closed

    @override
    def _open(self, channels: Sequence[str]) -> frozenset[str]:
        self._make_normal()
        self._set_finished(f":ROUT:OPEN (@{','.join(channels)})")
        return self.closed

    @override
    def _open_everything(self) -> frozenset[str]:
        self._set_finished(":ROUT:OPEN:CARD ALL")
        return self.closed

    def _bias(self, card: int) -> int | None:
        on = self._ask(f":ROUT:BIAS:STAT? {card}")
        return int(self._ask(f":ROUT:BIAS:PORT? {card}")) if on else None

    def _confirm(self, header: str, card: int, word: str, *, answers: str | None = None) -> None:
        self._set(f"{header} {card},{word}")
        reply = self.link.query(f"{header}? {card}").strip()
        if reply.lstrip("+") != (answers or word):
            raise InstrumentFault(
                f"{self.link.address}: {header} of card {card} was set to {word} but reads back"
                f" {reply!r}"
            )


KEYSIGHT_E5250A = InstrumentKind(
    name="keysight_e5250a",
    summary="Keysight E5250A low-leakage switch with E5252A matrix cards and bias port, SCPI",
    settings=KeysightE5250ASettings,
    make=KeysightE5250A,
    proof="the commands that public drivers of it and of the B2200 send; never met hardware",
)
