"""Base of the drivers of instruments that speak SCPI."""

from __future__ import annotations

import math
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.families.common import agreed, number, parse_number
from hwloop_drivers.instruments.families.identified import IdentifiedInstrument
from hwloop_drivers.links.link import Link, LinkSettings

MOST_ERRORS = 100


class ScpiSpeaker:
    """Settings and questions in SCPI, for an instrument or for one of its several outputs.

    Settings go through :meth:`_set`, so that the error queue is read as often as the link's
    settings say.
    """

    error_question: ClassVar[str] = ":SYST:ERR?"

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        self.link = link
        self._errors = settings.errors

    def _raise_errors(self) -> None:
        errors = []
        for _ in range(MOST_ERRORS):
            reply = self.link.query(self.error_question).strip()
            code = reply.partition(",")[0].lstrip("+")
            if not code.removeprefix("-").isdigit():
                raise UnexpectedReply(
                    f"{self.link.address}: {self.error_question} answered {reply!r}"
                )
            if int(code) == 0:
                break
            errors.append(reply)
        if errors:
            raise InstrumentFault(f"{self.link.address}: {'; '.join(errors)}")

    def _set(self, command: str) -> None:
        """Send a setting; raise its error at once where each setting is to be checked."""
        self.link.write(command)
        if self._errors == "each":
            self._raise_errors()

    def _ask(self, question: str) -> float:
        """Ask, and return the number that is answered; twice in one message if bytes may change."""
        if self.link.protects_bytes:
            return parse_number(self.link, question, self.link.query(question))
        reply = self.link.query(f"{question};{question}").strip()
        return parse_number(self.link, question, agreed(self.link, question, reply, ";"))

    def _set_confirmed(self, header: str, value: float) -> None:
        """Send a number, read it back and compare; raises :class:`InstrumentFault`."""
        self._set(f"{header} {number(value)}")
        reply = self._ask(f"{header}?")
        if not math.isclose(reply, value, rel_tol=1e-6, abs_tol=1e-15):
            raise InstrumentFault(
                f"{self.link.address}: {header} was set to {number(value)} but reads back"
                f" {number(reply)}"
            )

    def _set_word_confirmed(self, header: str, word: str) -> None:
        """Send a word in its short form, read it back and compare."""
        self._set(f"{header} {word}")
        reply = self.link.query(f"{header}?").strip().strip('"')
        if reply.upper() != word.upper():
            raise InstrumentFault(
                f"{self.link.address}: {header} was set to {word} but reads back {reply!r}"
            )

    def _set_finished(self, command: str) -> None:
        """Send, and wait until it has finished: another instrument may be addressed next."""
        reply = self.link.query(f"{command};*OPC?").strip()
        if reply != "1":
            raise UnexpectedReply(f"{self.link.address}: {command};*OPC? answered {reply!r}")
        if self._errors == "each":
            self._raise_errors()


class ScpiInstrument(ScpiSpeaker, IdentifiedInstrument):
    """An instrument that speaks SCPI: its identity and its error queue."""

    @override
    def reset(self) -> None:
        self.link.write("*RST")
        self.clear()

    @override
    def clear(self) -> None:
        self.link.write("*CLS")

    @override
    def check_errors(self) -> None:
        if self._errors != "never":
            self._raise_errors()
