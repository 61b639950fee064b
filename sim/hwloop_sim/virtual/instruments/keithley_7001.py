"""A Keithley 7001 with two 4 × 10 matrix cards."""

from __future__ import annotations

from hwloop_sim.virtual.scpi import ILLEGAL, Arguments, ScpiError, ScpiInstrument

SETTLING_S = 3e-3  # actuation of a 7012-S card
CHANNELS = frozenset(f"{s}!{r}!{c}" for s in (1, 2) for r in range(1, 5) for c in range(1, 11))


class Keithley7001(ScpiInstrument):
    """Closes and opens channels of the circuit."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 7001,0000000,A08  /A02"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._closed: frozenset[str] = frozenset()
        self.on("[:ROUTe]:CLOSe", set=self._close, get=self._state)
        self.on("[:ROUTe]:CLOSe:STATe", get=lambda _: f"(@{','.join(sorted(self._closed))})")
        self.on("[:ROUTe]:OPEN", set=self._open)
        self.on("[:ROUTe]:OPEN:ALL", set=lambda _: self._become(frozenset()))

    def output_states(self) -> dict[str, bool]:
        """It has none."""
        return {}

    def reset(self) -> None:
        """Open every channel."""
        self._become(frozenset())

    def _close(self, arguments: Arguments) -> None:
        self._become(self._closed | _channels(arguments))

    def _open(self, arguments: Arguments) -> None:
        everything = arguments.text().upper() == "ALL"
        self._become(frozenset() if everything else self._closed - _channels(arguments))

    def _state(self, arguments: Arguments) -> str:
        return ",".join("1" if c in self._closed else "0" for c in sorted(_channels(arguments)))

    def _become(self, closed: frozenset[str]) -> None:
        if closed == self._closed:
            return
        self._closed = closed
        self._circuit.set_closed(self._name, closed)
        self._clock.advance(SETTLING_S)


def _channels(arguments: Arguments) -> frozenset[str]:
    text = arguments.text().replace(" ", "")
    found = frozenset(filter(None, text.removeprefix("(@").removesuffix(")").split(",")))
    if not (text.startswith("(@") and text.endswith(")")) or not found <= CHANNELS:
        raise ScpiError(*ILLEGAL)
    return found
