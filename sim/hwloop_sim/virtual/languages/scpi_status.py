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
    """An event register: bits latch; ``enable`` says which ones are summarised."""

    def __init__(self) -> None:
        self.events = 0
        self.enable = 0

    def latch(self, bits: int) -> None:
        """Something has happened."""
        self.events |= bits

    def take(self) -> int:
        """What happened since the last time."""
        events, self.events = self.events, 0
        return events

    @property
    def summary(self) -> bool:
        """Whether anything that is enabled has happened."""
        return bool(self.events & self.enable)


class Status:
    """The standard event register, and those of measurement, questionable and operation."""

    def __init__(self) -> None:
        self.standard = Register()
        self.registers = {name: Register() for name in SUMMARIES}
        self.service_enable = 0

    def clear(self) -> None:
        """What ``*CLS`` does: events go, enables stay."""
        for register in (self.standard, *self.registers.values()):
            register.events = 0

    def preset(self) -> None:
        """What ``:STAT:PRES`` does: enables go."""
        for register in self.registers.values():
            register.enable = 0

    def byte(self, *, errors: bool) -> int:
        """The status byte, the service request summary included."""
        value = ERROR_QUEUE if errors else 0
        value |= EVENT_SUMMARY if self.standard.summary else 0
        for name, bit in SUMMARIES.items():
            value |= bit if self.registers[name].summary else 0
        return value | (SERVICE if value & self.service_enable else 0)

    def error(self, code: int) -> None:
        """Which kind of error has happened: SCPI-99, volume 2, 21.8."""
        if -200 < code <= -100:
            self.standard.latch(COMMAND_ERROR)
        elif -300 < code <= -200:
            self.standard.latch(EXECUTION_ERROR)
        else:
            self.standard.latch(DEVICE_ERROR)
