"""A Keysight 34980A with matrix modules."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from hwloop_sim.virtual.circuit.relays import Relays
from hwloop_sim.virtual.languages.channel_lists import listed
from hwloop_sim.virtual.languages.scpi import (
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
)

SETTLING_S = 4e-3  # armature relays of a 34932A
SLOTS = 8
HIGH_DENSITY = "34934A"
MODULES = {  # rows, columns, numbers from one row to the next; after the modules' user's guides
    "34931A": (8, 8, 100),
    "34932A": (8, 16, 100),
    "34933A": (8, 8, 100),
    "34934A-4X32": (4, 128, 200),
    "34934A-4X64": (4, 128, 200),
    "34934A-4X128": (4, 128, 200),
    "34934A-8X32": (8, 64, 100),
    "34934A-8X64": (8, 64, 100),
    "34934A-16X32": (16, 32, 50),
}


class Keysight34980A(VirtualScpiInstrument):
    """A 34980A; ``modules`` in the settings: the module in each slot; 34932A in the first.

    ``terminals``: the slots whose module has its terminal block; a 34934A without one, whose safety
    interlock is open, connects nothing and says nothing (QCoDeS, ``keysight_34934a.py``).
    """

    identity = "Agilent Technologies,34980A,MY00000000,2.43-2.43-1.11-0.00"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        settings: dict[str, object] = kwargs.get("settings", {})  # type: ignore[assignment]
        modules = settings.get("modules", {1: "34932A"})
        if not isinstance(modules, Mapping):
            raise TypeError(f"modules {modules!r}: a mapping from slots to modules")
        self._modules = {int(slot): str(module).upper() for slot, module in modules.items()}
        order = [c for slot in sorted(self._modules) for c in _channels(slot, self._modules[slot])]
        self._relays = Relays(self._name, self._circuit, self._clock, order, settle_s=SETTLING_S)
        self.on("[:ROUTe]:CLOSe", set=self._close, get=self._state)
        self.on("[:ROUTe]:OPEN", set=self._open, get=self._is_open)
        self.on("[:ROUTe]:OPEN:ALL", set=self._open_all)
        self.on("[:ROUTe]:MODule:BUSY", get=lambda _: "0")
        self.on(":SYSTem:CTYPe", get=self._module)
        self._terminals = {int(slot) for slot in list(settings.get("terminals", range(1, 9)))}  # type: ignore[call-overload]
        self.on(":SYSTem:MODule:TERMinal:TYPE", get=self._terminal)
        self._protection = dict.fromkeys(self._modules, "AUTO100")
        self.on(
            ":SYSTem:MODule:ROW:PROTection",
            set=self._protect,
            get=lambda a: self._protection[self._matrix(a.text())],
        )

    @override
    def output_states(self) -> dict[str, bool]:
        return {}

    @override
    def reset(self) -> None:
        self._relays.become(frozenset())

    def _close(self, arguments: Arguments) -> None:
        channels = [c for c in listed(arguments, self._relays) if not self._is_locked(int(c[0]))]
        self._relays.become(self._relays.closed | set(channels))

    def _open(self, arguments: Arguments) -> None:
        self._relays.become(self._relays.closed - set(listed(arguments, self._relays)))

    def _open_all(self, arguments: Arguments) -> None:
        word = arguments.text().upper() if arguments.values else "ALL"
        gone = "" if word == "ALL" else str(self._slot(word))
        self._relays.become(frozenset(c for c in self._relays.closed if not c.startswith(gone)))

    def _state(self, arguments: Arguments) -> str:
        channels = listed(arguments, self._relays)
        return ",".join(str(int(c in self._relays.closed)) for c in channels)

    def _is_open(self, arguments: Arguments) -> str:
        channels = listed(arguments, self._relays)
        return ",".join(str(int(c not in self._relays.closed)) for c in channels)

    def _module(self, arguments: Arguments) -> str:
        module = self._modules.get(self._slot(arguments.text()), "0")
        return f"Agilent Technologies,{module},{0 if module == '0' else 'MY00000000'},1.02"

    def _is_locked(self, slot: int) -> bool:
        return self._modules[slot].startswith(HIGH_DENSITY) and slot not in self._terminals

    def _terminal(self, arguments: Arguments) -> str:
        slot = self._matrix(arguments.text())
        layout = self._modules[slot].partition("-")[2].replace("X", "x")
        return "NONE" if self._is_locked(slot) else layout

    def _protect(self, arguments: Arguments) -> None:
        mode = Arguments(arguments.values[1:]).choice("AUTO100", "AUTO0", "FIXed", "ISOlated")
        self._protection[self._matrix(arguments.text())] = mode

    def _matrix(self, word: str) -> int:
        """Return the slot of a 34934A, which alone has terminal blocks of several layouts."""
        slot = self._slot(word)
        if not self._modules.get(slot, "").startswith(HIGH_DENSITY):
            raise ScpiError(-241, "Hardware missing")
        return slot

    def _slot(self, word: str) -> int:
        if not word.isdigit() or not 1 <= int(word) <= SLOTS:
            raise ScpiError(*OUT_OF_RANGE)
        return int(word)


def _channels(slot: int, module: str) -> list[str]:
    rows, columns, spacing = MODULES[module]
    return [
        f"{slot}{100 + row * spacing + column}"
        for row in range(rows)
        for column in range(1, columns + 1)
    ]
