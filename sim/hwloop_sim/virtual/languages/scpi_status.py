"""Status registers of an instrument that speaks SCPI.

After IEEE 488.2, chapter 11, and SCPI-99, volume 1, chapter 9: event registers latch until they
are read, their summaries make the status byte.
"""

from __future__ import annotations

ERROR_QUEUE, EVENT_SUMMARY, SERVICE = 1 << 2, 1 << 5, 1 << 6
SUMMARIES = {"MEAS": 1 << 0, "QUES": 1 << 3, "OPER": 1 << 7}
"""Bit of the status byte of each event register."""
COMPLETE, DEVICE_ERROR, COMMAND_ERROR, EXECUTION_ERROR = 1 << 0, 1 << 3, 1 << 5, 1 << 4


class Register:
    """An event register: bits latch; ``enable`` selects those that are summarised."""

    def __init__(self) -> None:
        self.events = 0
        self.enable = 0

    def latch(self, bits: int) -> None:
        """Latch the bits of an event."""
        self.events |= bits

    def take(self) -> int:
        """Return and clear the latched bits."""
        events, self.events = self.events, 0
        return events

    @property
    def summary(self) -> bool:
        """Return whether any enabled bit is latched."""
        return bool(self.events & self.enable)


class Status:
    """The standard event register, and those of measurement, questionable and operation."""

    def __init__(self) -> None:
        self.standard = Register()
        self.registers = {name: Register() for name in SUMMARIES}
        self.service_enable = 0

    def clear(self) -> None:
        """Clear all events, as ``*CLS`` does; enables stay."""
        for register in (self.standard, *self.registers.values()):
            register.events = 0

    def preset(self) -> None:
        """Clear all enables, as ``:STAT:PRES`` does."""
        for register in self.registers.values():
            register.enable = 0

    def byte(self, *, errors: bool) -> int:
        """Return the status byte, with the service request summary."""
        value = ERROR_QUEUE if errors else 0
        value |= EVENT_SUMMARY if self.standard.summary else 0
        for name, bit in SUMMARIES.items():
            value |= bit if self.registers[name].summary else 0
        return value | (SERVICE if value & self.service_enable else 0)

    def error(self, code: int) -> None:
        """Latch the bit of an error's class, by its code: SCPI-99, volume 2, 21.8."""
        if -200 < code <= -100:
            self.standard.latch(COMMAND_ERROR)
        elif -300 < code <= -200:
            self.standard.latch(EXECUTION_ERROR)
        else:
            self.standard.latch(DEVICE_ERROR)
