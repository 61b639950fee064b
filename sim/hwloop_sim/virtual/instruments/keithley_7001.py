"""A Keithley 7001 with 4 × 10 matrix cards in both slots, or a 7002 with ten of them."""

from __future__ import annotations

from itertools import groupby

from typing_extensions import override

from hwloop_sim.virtual.circuit.relays import Relays
from hwloop_sim.virtual.languages.channel_lists import listed
from hwloop_sim.virtual.languages.scpi import Arguments, VirtualScpiInstrument

SETTLING_S = 3e-3  # actuation of a 7012-S card
SLOTS = {"7001": 2, "7002": 10}
ROWS, COLUMNS = 4, 10
CARD = "C7012"  # of a 7012: seen in programs that drive a 7001


class Keithley7001(VirtualScpiInstrument):
    """A 7001 or 7002, whose relays are channels of the circuit; ``model`` in the settings."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        settings: dict[str, object] = kwargs.get("settings", {})  # type: ignore[assignment]
        model = str(settings.get("model", "7001"))
        self.identity = f"KEITHLEY INSTRUMENTS INC.,MODEL {model},0000000,A08  /A02"
        order = [
            f"{slot}!{row}!{column}"
            for slot in range(1, SLOTS[model] + 1)
            for row in range(1, ROWS + 1)
            for column in range(1, COLUMNS + 1)
        ]
        self._relays = Relays(self._name, self._circuit, self._clock, order, settle_s=SETTLING_S)
        for slot in range(1, SLOTS[model] + 1):
            self.on(f"[:ROUTe]:CONFigure:SLOT{slot}:CTYPe", get=lambda _: CARD)
        self.on("[:ROUTe]:CLOSe", set=self._close, get=self._state)
        self.on("[:ROUTe]:CLOSe:STATe", get=lambda _: self._list())
        self.on("[:ROUTe]:OPEN", set=self._open)
        self.on("[:ROUTe]:OPEN:ALL", set=lambda _: self.reset())

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def reset(self) -> None:
        self._relays.become(frozenset())

    def _close(self, arguments: Arguments) -> None:
        self._relays.become(self._relays.closed | set(self._channels(arguments)))

    def _open(self, arguments: Arguments) -> None:
        everything = arguments.text().upper() == "ALL"
        going = self._relays.closed if everything else set(self._channels(arguments))
        self._relays.become(self._relays.closed - going)

    def _state(self, arguments: Arguments) -> str:
        return ",".join(str(int(c in self._relays.closed)) for c in self._channels(arguments))

    def _list(self) -> str:
        """Return the closed channels, neighbours joined to ranges: (@1!1!1:1!1!3,1!2!5)."""
        parts = []
        places = [self._relays.order.index(c) for c in self._relays.in_order(self._relays.closed)]
        numbered = list(enumerate(places))
        for _, run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], pair[1] // COLUMNS)):
            found = [self._relays.order[place] for _, place in run]
            parts.append(found[0] if len(found) == 1 else f"{found[0]}:{found[-1]}")
        return f"(@{','.join(parts)})"

    def _channels(self, arguments: Arguments) -> list[str]:
        return listed(arguments, self._relays)
