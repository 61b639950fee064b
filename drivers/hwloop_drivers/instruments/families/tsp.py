"""Base of the drivers of instruments that speak TSP."""

from __future__ import annotations

import math
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.instruments.families.common import agreed, number, parse_number
from hwloop_drivers.instruments.families.identified import IdentifiedInstrument, Identity, Verdict
from hwloop_drivers.links.link import Link, LinkSettings

MOST_ERRORS = 100
PRECISION = 10  # digits of every number that is printed; the default is 6


class TspSpeaker:
    """Settings and questions in TSP, for an instrument or for one of its several channels.

    Settings go through :meth:`_set`, so that the error queue is read as often as the link's
    settings say. A question is an expression, whose value the instrument prints with
    :data:`PRECISION` digits.
    """

    error_question: ClassVar[str] = "print(errorqueue.next())"

    def __init__(self, link: Link, settings: LinkSettings) -> None:
        self.link = link
        self._errors = settings.errors
        self._precise = False

    def _raise_errors(self) -> None:
        errors = []
        for _ in range(MOST_ERRORS):
            reply = self.link.query(self.error_question).strip()
            code, _, text = reply.partition("\t")
            value = parse_number(self.link, self.error_question, code)
            if value == 0:
                break
            errors.append(f"{value:g}, {text.split(chr(9))[0]}")
        if errors:
            raise InstrumentFault(f"{self.link.address}: {'; '.join(errors)}")

    def _set(self, command: str) -> None:
        """Send Lua that prints nothing; raise its error at once where each setting is checked."""
        self.link.write(command)
        if self._errors == "each":
            self._raise_errors()

    def _ask(self, expression: str) -> float:
        """Evaluate an expression in the instrument, and return its value."""
        self._make_precise()
        return parse_number(self.link, expression, self._printed(expression))

    def _printed(self, expression: str) -> str:
        """Return the text of a value; printed twice in one message where bytes may change."""
        if self.link.protects_bytes:
            return self.link.query(f"print({expression})").strip()
        reply = self.link.query(f"print({expression}, {expression})").strip()
        return agreed(self.link, expression, reply, "\t")

    def _make_precise(self) -> None:
        """Set the instrument to print all digits of numbers; verified once after each reset."""
        if self._precise:
            return
        command = f"format.data = format.ASCII format.asciiprecision = {PRECISION}"
        question = f"{command} print(format.asciiprecision)"
        reply = parse_number(self.link, question, self.link.query(question))
        if reply != PRECISION:
            raise InstrumentFault(
                f"{self.link.address}: format.asciiprecision was set to {PRECISION} but reads back"
                f" {reply:g}"
            )
        self._precise = True

    def _set_confirmed(self, name: str, value: float) -> None:
        """Set an attribute, read it back and compare; raises :class:`InstrumentFault`."""
        self._set(f"{name} = {number(value)}")
        self._confirm(name, value)

    def _confirm(self, name: str, value: float) -> None:
        """Read an attribute and compare; raises :class:`InstrumentFault`."""
        reply = self._ask(name)
        if not math.isclose(reply, value, rel_tol=1e-6, abs_tol=1e-15):
            raise InstrumentFault(
                f"{self.link.address}: {name} was set to {number(value)} but reads back"
                f" {number(reply)}"
            )

    def _set_word_confirmed(self, name: str, word: str) -> None:
        """Set an attribute to one of the instrument's constants, and compare it there."""
        self._set(f"{name} = {word}")
        reply = self.link.query(f"print({name} == {word})").strip()
        if reply != "true":
            raise InstrumentFault(
                f"{self.link.address}: {name} was set to {word} but reads back otherwise"
            )

    def _set_finished(self, command: str) -> None:
        """Send, and wait until it has finished: another instrument may be addressed next."""
        question = f"{command} waitcomplete() print('done')"
        reply = self.link.query(question).strip()
        if reply != "done":
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        if self._errors == "each":
            self._raise_errors()


class TspInstrument(TspSpeaker, IdentifiedInstrument):
    """An instrument that speaks TSP: its identity and its error queue."""

    clear_command: ClassVar[str] = "errorqueue.clear()"
    quiet_command: ClassVar[str] = "localnode.prompts = 0 localnode.showerrors = 0"
    """What ends that prompts and errors are sent unasked."""

    @override
    def verify_identity(self) -> None:
        # Raise :class:`hwloop.errors.UnexpectedReply` unless this driver is for this model. A
        # script that an earlier client left running or half sent would swallow the question: it
        # is ended first, and the errors of that are forgotten. Prompts that an earlier client has
        # turned on, which a reset leaves on, would be taken for answers: they are turned off, and
        # what came meanwhile is thrown away with the old link. Messages can be lost with it.
        for last in (False, False, True):
            self._id = ""
            try:
                quieten = ("abort", "endscript", self.quiet_command, self.clear_command, "*CLS")
                for message in quieten:
                    self._write_past_prompts(message)
                super().verify_identity()
                self._confirm_quiet()
            except UnexpectedReply:
                ours = Identity.parsed(self._id).maker.startswith(self.makers or "?")
                if last or (ours and self.judge(self._id) is not Verdict.ACCEPTED):
                    raise
                self.link.recover(lambda: None)
            else:
                return

    def _write_past_prompts(self, message: str) -> None:
        """Send a message; where a prompt came before it, over a new link."""
        try:
            self.link.write(message)
        except UnexpectedReply:  # it was refused before it was sent
            self.link.recover(lambda: None)
            self.link.write(message)

    def _confirm_quiet(self) -> None:
        """Raise :class:`UnexpectedReply` if a prompt followed the identity: it comes again."""
        reply = self.link.query("*IDN?").strip()
        if reply != self._id:
            raise UnexpectedReply(
                f"{self.link.address}: {reply!r} came unasked; turn prompts off, and close other"
                " programs that use the instrument"
            )

    @override
    def reset(self) -> None:
        self._precise = False
        self.link.write("reset()")
        self.clear()

    @override
    def clear(self) -> None:
        self.link.write(self.clear_command)
        self.link.write("*CLS")

    @override
    def check_errors(self) -> None:
        if self._errors != "never":
            self._raise_errors()
