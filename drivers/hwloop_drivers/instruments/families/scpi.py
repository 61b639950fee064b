"""Base of the drivers of instruments that speak SCPI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.families.common import agreed, number, parse_number
from hwloop_drivers.instruments.families.identified import IdentifiedInstrument
from hwloop_drivers.links.link import Link, LinkSettings

MOST_ERRORS = 100

SAME = 1e-6  # relative: settings that differ less read back alike


class ScpiSpeaker:
    """Settings and questions in SCPI, for an instrument or for one of its several outputs.

    Settings go through :meth:`_set`, so that the error queue is read as often as the link's
    settings say.
    """

    error_question: ClassVar[str] = ":SYST:ERR?"

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        self.link = link
        self._errors = settings.errors
        self._unconfirmed: dict[str, float | str] = {}

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

    def _send_setting(self, header: str, value: float | str) -> None:
        """Send a number, or a word in its short form; :meth:`_confirm_settings` compares it."""
        self._set(f"{header} {value if isinstance(value, str) else number(value)}")
        self._unconfirmed[header] = value

    def _confirm_settings(self) -> None:
        """Read back and compare what :meth:`_send_setting` has sent since the last time.

        Only now, after all was sent: an instrument may change a setting when it is sent another.
        """
        settings, self._unconfirmed = self._unconfirmed, {}
        self._confirm_all(settings)

    def _set_confirmed(self, header: str, value: float) -> None:
        """Send a number, read it back and compare; raises :class:`InstrumentFault`."""
        self._set(f"{header} {number(value)}")
        self._confirm_setting(header, value)

    def _set_word_confirmed(self, header: str, word: str) -> None:
        """Send a word in its short form, read it back and compare."""
        self._set(f"{header} {word}")
        self._confirm_setting(header, word)

    def _confirm_all(self, settings: Mapping[str, float | str]) -> None:
        """Read settings back and compare; raises :class:`InstrumentFault`."""
        for header, sent in settings.items():
            self._confirm_setting(header, sent)

    def _confirm_together(
        self, settings: Mapping[str, float | str], *, rel_tol: Mapping[str, float]
    ) -> None:
        """Read settings back in one message and compare, as :meth:`_confirm_all` does.

        ``rel_tol``: how much a number may differ, relative, by the end of its header.
        """
        question = ";".join(f"{header}?" for header in settings)
        replies = self.link.query(question).strip().split(";")
        if len(replies) != len(settings):
            raise UnexpectedReply(f"{self.link.address}: {question} answered {replies!r}")
        for (header, sent), reply in zip(settings.items(), replies, strict=True):
            near = next((tol for end, tol in rel_tol.items() if header.endswith(end)), SAME)
            self._compare_setting(header, sent, reply, rel_tol=near)

    def _confirm_setting(self, header: str, sent: float | str, *, abs_tol: float = 1e-15) -> None:
        """Read a setting back and compare; raises :class:`InstrumentFault`."""
        question = f"{header}?"
        if isinstance(sent, str) or self.link.protects_bytes:
            reply = self.link.query(question).strip()
        else:
            reply = agreed(
                self.link, question, self.link.query(f"{question};{question}").strip(), ";"
            )
        self._compare_setting(header, sent, reply, abs_tol=abs_tol)

    def _compare_setting(
        self,
        header: str,
        sent: float | str,
        reply: str,
        *,
        rel_tol: float = SAME,
        abs_tol: float = 1e-15,
    ) -> None:
        """Raise :class:`InstrumentFault` where the answer to a setting's question is another."""
        if isinstance(sent, str):
            reply = reply.strip().strip('"')
            if reply.upper() == sent.upper():
                return
            found, wanted = repr(reply), sent
        else:
            read = parse_number(self.link, f"{header}?", reply)
            if math.isclose(read, sent, rel_tol=rel_tol, abs_tol=abs_tol):
                return
            found, wanted = number(read), number(sent)
        raise InstrumentFault(
            f"{self.link.address}: {header} was set to {wanted} but reads back {found}"
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
