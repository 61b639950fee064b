"""A Keysight E5250A with E5252A 10 × 12 matrix cards, or its successor B2200A, with bias port.

Pages of the B2200A/B2201A user's guide. In automatic configuration, that of a reset, the cards are
one matrix of number 0, whose outputs are those of all cards in order (5-33); in normal
configuration each is a matrix of its own. The analog ground of the B2200A is kept, but connects
nothing here.
"""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from hwloop_sim.virtual.circuit.relays import Relays
from hwloop_sim.virtual.languages.channel_lists import listed
from hwloop_sim.virtual.languages.scpi import (
    ILLEGAL,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
)

SETTLING_S = 10e-3  # assumed: reed relays and their confirmation
OUTPUTS = 12
CONFLICT = (-221, "Settings conflict")
INPUTS_OF = {"E5250A": 10, "B2200A": 14, "B2201A": 14}


class KeysightE5250A(VirtualScpiInstrument):
    """An E5250A; ``cards`` in the settings: the slots with a card, the first without.

    ``model``: E5250A, B2200A or B2201A. ``sequence``: False for one that does not know the
    connection sequence, which an E5250A has for cards with the single-route rule only.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        settings: dict[str, object] = kwargs.get("settings", {})  # type: ignore[assignment]
        self._cards = [int(str(card)) for card in list(settings.get("cards", [1]))]  # type: ignore[call-overload]
        self._model = str(settings.get("model", "E5250A"))
        self._inputs = INPUTS_OF[self._model]
        self.identity = f"Agilent Technologies,{self._model},0,A.01.02"
        order = [
            f"{card}{i:02d}{o:02d}"
            for card in self._cards
            for i in range(1, self._inputs + 1)
            for o in range(1, OUTPUTS + 1)
        ]
        self._relays = Relays(self._name, self._circuit, self._clock, order, settle_s=SETTLING_S)
        self.reset()
        self._add_routes(sequence=bool(settings.get("sequence", True)))
        self._add_bias()
        if self._model != "E5250A":
            self._add_ground()

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def reset(self) -> None:
        self._configuration = "ACON"
        self._rule = dict.fromkeys(self._cards, "FREE")
        self._sequence = dict.fromkeys(self._cards, "BBM")
        self._bias_on = dict.fromkeys(self._cards, "0")
        self._bias_port = dict.fromkeys(self._cards, 10)
        self._bias_enabled: frozenset[str] = frozenset()
        self._become(frozenset())

    def _add_routes(self, *, sequence: bool) -> None:
        self.on("[:ROUTe]:FUNCtion", set=self._set_configuration, get=lambda _: self._configuration)
        self._by_card("[:ROUTe]:CONNect:RULE", self._rule_of, ("FREE", "SROUte"))
        if sequence:
            self._by_card("[:ROUTe]:CONNect:SEQuence", self._sequence_of, ("NSEQ", "BBM", "MBBR"))
        self.on("[:ROUTe]:CLOSe[:LIST]", set=self._close, get=self._state)
        self.on("[:ROUTe]:CLOSe:CARD", get=self._closed_of)
        self.on("[:ROUTe]:OPEN[:LIST]", set=self._open)
        self.on("[:ROUTe]:OPEN:CARD", set=self._open_card)

    def _add_bias(self) -> None:
        self.on(
            "[:ROUTe]:BIAS[:STATe]",
            set=self._set_bias,
            get=lambda a: self._bias_on[self._asked(a)],
        )
        self.on(
            "[:ROUTe]:BIAS:PORT",
            set=self._set_port,
            get=lambda a: str(self._bias_port[self._asked(a)]),
        )
        enable = "[:ROUTe]:BIAS:CHANnel:ENABle"
        disable = "[:ROUTe]:BIAS:CHANnel:DISable"
        self.on(f"{enable}:CARD", set=lambda a: self._enable(self._outputs(a), on=True))
        self.on(f"{disable}:CARD", set=lambda a: self._enable(self._outputs(a), on=False))
        self.on(f"{enable}[:LIST]", set=lambda a: self._enable(self._listed(a), on=True))
        self.on(f"{disable}[:LIST]", set=lambda a: self._enable(self._listed(a), on=False))

    def _add_ground(self) -> None:
        """Register analog ground and couple mode, which connect nothing here."""
        for header, default in (("AGND", "0"), ("COUPle", "0")):
            kept = dict.fromkeys(self._cards, default)
            self.on(
                f"[:ROUTe]:{header}[:STATe]",
                set=lambda a, k=kept, h=header: self._keep_switch(a, k, h),  # type: ignore[misc]
                get=lambda a, k=kept: k[self._asked(a)],  # type: ignore[misc]
            )
        for header, default in (("AGND:PORT", "12"), ("AGND:UNUSED", ""), ("COUPle:PORT", "")):
            words = dict.fromkeys(self._cards, default)
            self.on(
                f"[:ROUTe]:{header}",
                set=lambda a, w=words: self._keep_words(a, w),  # type: ignore[misc]
                get=lambda a, w=words: w[self._asked(a)],  # type: ignore[misc]
            )
        for action in ("ENABle", "DISable"):
            self.on(f"[:ROUTe]:AGND:CHANnel:{action}:CARD", set=self._chosen_only)
            self.on(f"[:ROUTe]:AGND:CHANnel:{action}[:LIST]", set=self._listed_only)

    def _keep_switch(self, arguments: Arguments, kept: dict[int, str], header: str) -> None:
        on = Arguments(arguments.values[1:]).boolean()
        kept.update(dict.fromkeys(self._chosen(arguments), str(int(on))))
        if on:
            self._circuit.unmodelled.append(f"{self._name}: {header}")

    def _keep_words(self, arguments: Arguments, words: dict[int, str]) -> None:
        text = ",".join(value.strip("'\"") for value in arguments.values[1:])
        words.update(dict.fromkeys(self._chosen(arguments), text))

    def _chosen_only(self, arguments: Arguments) -> None:
        self._chosen(arguments)

    def _listed_only(self, arguments: Arguments) -> None:
        self._listed(arguments)

    def _by_card(
        self, header: str, values: Callable[[], dict[int, str]], words: tuple[str, ...]
    ) -> None:
        def put(arguments: Arguments) -> None:
            word = Arguments(arguments.values[1:]).choice(*words)
            values().update(dict.fromkeys(self._chosen(arguments), word))

        self.on(header, set=put, get=lambda a: values()[self._asked(a)])

    def _rule_of(self) -> dict[int, str]:
        return self._rule

    def _sequence_of(self) -> dict[int, str]:
        return self._sequence

    def _chosen(self, arguments: Arguments) -> list[int]:
        """Return the cards of a number: 0 in automatic configuration, 1 to 4 in normal; 5-33."""
        word = arguments.text().upper()
        if word == "ALL" or (word == "0" and self._automatic):
            return self._cards
        if self._automatic or not word.isdigit() or int(word) not in self._cards:
            raise ScpiError(*OUT_OF_RANGE)
        return [int(word)]

    def _asked(self, arguments: Arguments) -> int:
        """Return the card of a question, which may not be ALL: 5-33."""
        if arguments.text().upper() == "ALL":
            raise ScpiError(*ILLEGAL)
        return self._chosen(arguments)[0]

    @property
    def _automatic(self) -> bool:
        return self._configuration == "ACON"

    def _in_cards(self, channel: str) -> str:
        """Return a channel of matrix 0 as that of its card."""
        if not (channel.isdigit() and len(channel) == len("00101") and channel[0] == "0"):
            raise ScpiError(*ILLEGAL)
        place, output = divmod(int(channel[3:]) - 1, OUTPUTS)
        if not 0 <= place < len(self._cards):
            raise ScpiError(*OUT_OF_RANGE)
        return f"{self._cards[place]}{channel[1:3]}{output + 1:02d}"

    def _as_one(self, channel: str) -> str:
        """Return a channel of a card as that of matrix 0."""
        place = self._cards.index(int(channel[0]))
        return f"0{channel[1:3]}{place * OUTPUTS + int(channel[3:]):02d}"

    def _set_configuration(self, arguments: Arguments) -> None:
        self._configuration = arguments.choice("ACON", "NCON")
        self._become(frozenset())

    def _set_bias(self, arguments: Arguments) -> None:
        on = Arguments(arguments.values[1:]).boolean()
        for card in self._chosen(arguments):
            self._bias_on[card] = str(int(on))
        self._become(self._relays.closed)

    def _set_port(self, arguments: Arguments) -> None:
        port = int(Arguments(arguments.values[1:]).number(lowest=1, highest=self._inputs))
        for card in self._chosen(arguments):
            if self._bias_on[card] == "1":
                raise ScpiError(*CONFLICT)
            self._bias_port[card] = port

    def _enable(self, channels: list[str], *, on: bool) -> None:
        outputs = {channel[0] + channel[3:] for channel in channels}
        self._bias_enabled = self._bias_enabled | outputs if on else self._bias_enabled - outputs
        self._become(self._relays.closed)

    def _outputs(self, arguments: Arguments) -> list[str]:
        cards = self._chosen(arguments)
        return [f"{card}01{output:02d}" for card in cards for output in range(1, OUTPUTS + 1)]

    def _listed(self, arguments: Arguments) -> list[str]:
        if not self._automatic:
            return listed(arguments, self._relays)
        text = arguments.text().replace(" ", "")
        if not (text.startswith("(@") and text.endswith(")")):
            raise ScpiError(*ILLEGAL)
        channels = [self._in_cards(part) for part in text[2:-1].split(",") if part]
        if not set(channels) <= set(self._relays.order):
            raise ScpiError(*ILLEGAL)
        return channels

    def _close(self, arguments: Arguments) -> None:
        wanted = self._listed(arguments)
        for channel in wanted:
            card = int(channel[0])
            if self._bias_on[card] == "1" and int(channel[1:3]) == self._bias_port[card]:
                raise ScpiError(*CONFLICT)
        closed = self._relays.closed
        for channel in wanted:
            if self._rule[int(channel[0])] == "SROU":
                closed = frozenset(c for c in closed if not _meet(c, channel))
            closed |= {channel}
        self._become(closed)

    def _open(self, arguments: Arguments) -> None:
        self._become(self._relays.closed - set(self._listed(arguments)))

    def _open_card(self, arguments: Arguments) -> None:
        gone = {str(card) for card in self._chosen(arguments)}
        self._become(frozenset(c for c in self._relays.closed if c[0] not in gone))

    def _state(self, arguments: Arguments) -> str:
        return ",".join(str(int(c in self._relays.closed)) for c in self._listed(arguments))

    def _closed_of(self, arguments: Arguments) -> str:
        if arguments.text().upper() == "ALL":
            raise ScpiError(*ILLEGAL)
        cards = {str(card) for card in self._chosen(arguments)}
        found = [c for c in self._relays.in_order(self._relays.closed) if c[0] in cards]
        return "@" + ",".join(map(self._as_one, found) if self._automatic else found)

    def _become(self, closed: frozenset[str]) -> None:
        """Close these channels; connect enabled outputs without a channel to the bias port."""
        taken = {channel[0] + channel[3:] for channel in closed}
        biased = frozenset(
            f"{output[0]}{self._bias_port[int(output[0])]:02d}{output[1:]}"
            for output in self._bias_enabled - taken
            if self._bias_on[int(output[0])] == "1"
        )
        self._relays.become(closed, forced=biased)


def _meet(one: str, other: str) -> bool:
    """Return whether two channels share a port of one card."""
    return one[0] == other[0] and (one[1:3] == other[1:3] or one[3:] == other[3:])
