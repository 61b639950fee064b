"""A Keysight E5250A with E5252A 10 × 12 matrix cards, in normal configuration, with bias port."""

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
INPUTS, OUTPUTS = 10, 12
CONFLICT = (-221, "Settings conflict")


class KeysightE5250A(VirtualScpiInstrument):
    """An E5250A; ``cards`` in the settings: the slots with a card, the first without."""

    identity = "Agilent Technologies,E5250A,0,A.01.02"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        settings: dict[str, object] = kwargs.get("settings", {})  # type: ignore[assignment]
        self._cards = [int(str(card)) for card in list(settings.get("cards", [1]))]  # type: ignore[call-overload]
        order = [
            f"{card}{i:02d}{o:02d}"
            for card in self._cards
            for i in range(1, INPUTS + 1)
            for o in range(1, OUTPUTS + 1)
        ]
        self._relays = Relays(self._name, self._circuit, self._clock, order, settle_s=SETTLING_S)
        self.reset()
        self._add_routes()
        self._add_bias()

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

    def _add_routes(self) -> None:
        self.on("[:ROUTe]:FUNCtion", set=self._set_configuration, get=lambda _: self._configuration)
        self._by_card("[:ROUTe]:CONNect:RULE", self._rule_of, ("FREE", "SROUte"))
        self._by_card("[:ROUTe]:CONNect:SEQuence", self._sequence_of, ("NSEQ", "BBM", "MBBR"))
        self.on("[:ROUTe]:CLOSe[:LIST]", set=self._close, get=self._state)
        self.on("[:ROUTe]:CLOSe:CARD", get=self._closed_of)
        self.on("[:ROUTe]:OPEN[:LIST]", set=self._open)
        self.on("[:ROUTe]:OPEN:CARD", set=self._open_card)

    def _add_bias(self) -> None:
        self.on(
            "[:ROUTe]:BIAS[:STATe]",
            set=self._set_bias,
            get=lambda a: self._bias_on[self._chosen(a)[0]],
        )
        self.on(
            "[:ROUTe]:BIAS:PORT",
            set=self._set_port,
            get=lambda a: str(self._bias_port[self._chosen(a)[0]]),
        )
        enable = "[:ROUTe]:BIAS:CHANnel:ENABle"
        disable = "[:ROUTe]:BIAS:CHANnel:DISable"
        self.on(f"{enable}:CARD", set=lambda a: self._enable(self._outputs(a), on=True))
        self.on(f"{disable}:CARD", set=lambda a: self._enable(self._outputs(a), on=False))
        self.on(f"{enable}[:LIST]", set=lambda a: self._enable(self._listed(a), on=True))
        self.on(f"{disable}[:LIST]", set=lambda a: self._enable(self._listed(a), on=False))

    def _by_card(
        self, header: str, values: Callable[[], dict[int, str]], words: tuple[str, ...]
    ) -> None:
        def put(arguments: Arguments) -> None:
            word = Arguments(arguments.values[1:]).choice(*words)
            values().update(dict.fromkeys(self._chosen(arguments), word))

        self.on(header, set=put, get=lambda a: values()[self._chosen(a)[0]])

    def _rule_of(self) -> dict[int, str]:
        return self._rule

    def _sequence_of(self) -> dict[int, str]:
        return self._sequence

    def _chosen(self, arguments: Arguments) -> list[int]:
        word = arguments.text().upper()
        if word == "ALL":
            return self._cards
        if not word.isdigit() or int(word) not in self._cards:
            raise ScpiError(*OUT_OF_RANGE)
        return [int(word)]

    def _set_configuration(self, arguments: Arguments) -> None:
        self._configuration = arguments.choice("ACON", "NCON")
        self._become(frozenset())

    def _set_bias(self, arguments: Arguments) -> None:
        on = Arguments(arguments.values[1:]).boolean()
        for card in self._chosen(arguments):
            self._bias_on[card] = str(int(on))
        self._become(self._relays.closed)

    def _set_port(self, arguments: Arguments) -> None:
        port = int(Arguments(arguments.values[1:]).number(lowest=1, highest=INPUTS))
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
        if self._configuration != "NCON":  # automatic configuration numbers the cards as one
            raise ScpiError(*ILLEGAL)
        return listed(arguments, self._relays)

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
        cards = {str(card) for card in self._chosen(arguments)}
        found = [c for c in self._relays.in_order(self._relays.closed) if c[0] in cards]
        return "@" + ",".join(found)

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
