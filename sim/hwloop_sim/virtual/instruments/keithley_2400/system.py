"""The 2400's SYSTem subsystem: user's manual 2400S-900-01, 18-103 to 18-113.

Not here: ``:PRESet``, ``:POSetup``, ``:CCHeck``, ``:MEMory:INITialize`` and ``:MEP``. What keys do
is not modelled but for ON/OFF, and a press of another one is reported as unmodelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hwloop_sim.virtual.languages.scpi import Arguments, scientific
from hwloop_sim.virtual.languages.scpi_smu import refuse_unless

if TYPE_CHECKING:
    from hwloop_sim.virtual.circuit.clock import BenchClock
    from hwloop_sim.virtual.circuit.smu import Smu
    from hwloop_sim.virtual.languages.scpi import VirtualScpiInstrument

TIMER_S = 99_999.999  # then the timestamp starts again: 14-17
KEYS, ON_OFF = 32, 24  # 18-111
SCPI_VERSION = "1996.0"  # 18-112


class Timestamp:
    """Seconds since the instrument was turned on or the timestamp was reset: 14-17, 18-113."""

    def __init__(self, clock: BenchClock) -> None:
        self._clock, self._zero_s = clock, clock.now_s

    def restart(self) -> None:
        """Set the timestamp to 0 s now."""
        self._zero_s = self._clock.now_s

    def of(self, time_s: float) -> float:
        """Return the timestamp of a time of the bench's clock, seconds."""
        return (time_s - self._zero_s) % TIMER_S

    @property
    def now_s(self) -> float:
        """Get the timestamp of this moment, seconds."""
        return self.of(self._clock.now_s)


class SystemCommands:
    """The commands of the subsystem, registered at a box.

    ``unmodelled``: told of a command whose effect is not modelled.
    """

    def __init__(
        self,
        box: VirtualScpiInstrument,
        smu: Smu,
        timestamp: Timestamp,
        unmodelled: Callable[[str], None],
    ) -> None:
        self._smu, self._unmodelled = smu, unmodelled
        self._key = 0
        box.on(":SYSTem:VERSion", get=lambda _: SCPI_VERSION)
        box.on(":SYSTem:KEY", set=self._press, get=lambda _: str(self._key))
        box.on(":SYSTem:TIME", get=lambda _: scientific(timestamp.now_s))
        box.on(":SYSTem:TIME:RESet", set=lambda _: timestamp.restart())
        box.keep(":SYSTem:GUARd", "CABL", "OHMS", "CABLe")
        box.keep(":SYSTem:RCMode", "SING", "SINGle", "MULTiple")
        box.switch_kept(":SYSTem:AZERo:CACHing[:STATe]", on=False)
        box.switch_kept(":SYSTem:BEEPer:STATe", on=True)
        box.switch_kept(":SYSTem:RWLock", on=False)
        box.on(":SYSTem:LOCal", set=lambda _: None)
        box.on(":SYSTem:BEEPer[:IMMediate]", set=_beep)

    def _press(self, arguments: Arguments) -> None:
        self._key = int(arguments.number(lowest=1, highest=KEYS))
        if self._key == ON_OFF:
            self._smu.switch(on=not self._smu.on)
        else:
            self._unmodelled(f":SYSTem:KEY {self._key}")


def _beep(arguments: Arguments) -> None:
    refuse_unless(holds=len(arguments.values) == 2)
    frequency, seconds = (Arguments((value,)) for value in arguments.values)
    frequency.number(lowest=65, highest=2e6)
    seconds.number(lowest=0, highest=7.9)
