"""The interface of a link to one instrument."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from pydantic import Field

from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond
from hwloop_drivers.links.waiting import sleep

WireLog = Callable[[str, str, str], None]
"""Called with every message: address, ">" or "<", and the text, shortened if it is long."""


class LinkSettings(Settings):
    """Settings of a link; drivers give the defaults that their instrument needs.

    ``visa_library``: "@py" for pyvisa-py, "@ivi" or a path for an installed VISA. ``errors``: when
    the instrument's error queue is read: after each setting, each batch, or never.
    """

    timeout_s: PositiveSecond = 5.0
    read_termination: str = "\n"
    write_termination: str = "\n"
    baud_rate: int = Field(default=9600, gt=0)
    visa_library: str = "@py"
    errors: Literal["each", "batch", "never"] = "batch"


class Watch(Protocol):
    """Surveillance of a run, which hears of every message to an instrument."""

    def expect(self, within_s: float) -> None:
        """Note that a message is sent whose answer comes within ``within_s`` seconds.

        Raises :class:`hwloop.errors.BackendError` where the run must not go on.
        """

    def check(self) -> None:
        """Raise :class:`hwloop.errors.BackendError` where the run must not go on."""


class Link(ABC):
    """A link for text to one instrument; calls are bounded in time, one caller at a time.

    Answers are bounded in bytes as well, by LINE_BYTES and BLOCK_BYTES of
    :mod:`hwloop_drivers.links.messages`: an instrument that sends more does not stop talking, and
    :class:`hwloop.errors.UnexpectedReply` is raised.

    After a timeout or such an answer the link is poisoned: every call raises
    :class:`hwloop.errors.InstrumentTimeout` until :meth:`recover` has cleared it, so that a late
    answer is never taken for the answer to the next question.
    """

    address: str
    round_trips: int = 0
    """Queries so far: what a batch saves."""
    protects_bytes: bool = True
    """Whether a byte that changes on the way is noticed there; a serial port has no checksum."""
    watch: Watch | None = None
    """Surveillance that is told of every message and can end a wait; none while making safe."""

    def sleep(self, duration_s: float) -> None:
        """Wait while the instrument works on its own; ends early where the run must not go on."""
        self._expect(duration_s)
        sleep(duration_s, self._check)

    def _expect(self, bound_s: float) -> None:
        if self.watch is not None:
            self.watch.expect(bound_s)

    def _check(self) -> None:
        if self.watch is not None:
            self.watch.check()

    @abstractmethod
    def write(self, text: str) -> None:
        """Send one message; the terminator is added."""

    @abstractmethod
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        """Send one message and return its one-line reply, stripped of the terminator.

        ``timeout_s``: instead of the link's own, for long measurements. Raises
        :class:`hwloop.errors.InstrumentTimeout` or :class:`hwloop.errors.ConnectionLost`.
        """

    @abstractmethod
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        """Send one message and return the payload of the block (``#<n><len>…`` or ``#0…``).

        ``#0…`` only over links that show the end of a message: not over a TCP socket.
        """

    @abstractmethod
    def recover(self, verify: Callable[[], None]) -> None:
        """Clear the link after a timeout, then ``verify()`` the identity; healthy if it returns.

        Operations under way in the instrument are aborted, stale answers are thrown away.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the link; idempotent, never raises, bounded in time."""


S = TypeVar("S", bound=LinkSettings)
