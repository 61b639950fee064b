"""What a bad wire does to a message: one function a kind, each returns what goes on instead.

A kind is given the message that it strikes, and returns a script: bytes that are sent on, numbers
of seconds that pass, :class:`Back` for what goes the other way, :data:`CLOSE` where the link ends.
Messages are whole lines without their line feed; what is sent on has it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

CLOSE = None
LF = b"\n"
UNASKED = b"+1.234567E-06,+0.000000E+00\n"


@dataclass(frozen=True)
class Back:
    """Bytes that go back to where the message came from."""

    text: bytes


Script = Iterable["bytes | float | Back | None"]


@dataclass(frozen=True)
class Moment:
    """The message that is struck, and what a kind may need beside it.

    ``last``: the message before it in the same direction. ``nth``: 0 for the first that is struck,
    1 for the one after it, and so on. ``held``: the one before, where the kind lasts.
    """

    message: bytes
    last: bytes
    rng: random.Random
    timeout_s: float
    nth: int = 0
    held: bytes = b""


@dataclass(frozen=True)
class Kind:
    """One way of a wire to be bad.

    ``side``: whether it strikes answers of the instrument, or what is sent to it. ``lasts``: how
    many messages in a row it strikes, on the same link. ``numeric``: only messages that begin with
    a number. ``question``: only messages that are answered, or only others; None for all.
    ``cuts_off``: no new link is taken; ``of_link``: the link itself is lost, which is the only one
    of a serial port. Where the instrument cannot be reached any more, it may be left on if that is
    said. ``endless``: it goes on until the next message is sent.
    """

    name: str
    side: Literal["answer", "request"]
    act: Callable[[Moment], Script]
    lasts: int = 1
    numeric: bool = False
    question: bool | None = None
    cuts_off: bool = False
    of_link: bool = False
    endless: bool = False

    def strikes(self, message: bytes) -> bool:
        """Return whether it can strike this message."""
        if self.numeric and not _begins_with_number(message):
            return False
        return self.question in {None, b"?" in message or b"print" in message}


def _begins_with_number(message: bytes) -> bool:
    try:
        float(message.replace(b"\t", b",").split(b",")[0])
    except ValueError:
        return False
    return True


def _byte(moment: Moment) -> int:
    return moment.rng.randrange(max(len(moment.message), 1))


def _lost_byte(moment: Moment) -> Script:
    place = _byte(moment)
    return [moment.message[:place] + moment.message[place + 1 :] + LF]


def _doubled_byte(moment: Moment) -> Script:
    place = _byte(moment)
    return [moment.message[: place + 1] + moment.message[place:] + LF]


def _changed_byte(moment: Moment) -> Script:
    """Flip one of the seven lower bits, as a bad cable does."""
    place, changed = _byte(moment), bytearray(moment.message)
    if changed:
        changed[place] ^= 1 << moment.rng.randrange(7)
    return [bytes(changed) + LF]


def _changed_digit(moment: Moment) -> Script:
    digits = [place for place, byte in enumerate(moment.message) if chr(byte).isdigit()]
    changed = bytearray(moment.message)
    if digits:
        place = moment.rng.choice(digits)
        other = (int(chr(changed[place])) + 1 + moment.rng.randrange(9)) % 10
        changed[place] = ord(str(other))
    return [bytes(changed) + LF]


def _changed_sign(moment: Moment) -> Script:
    text = moment.message
    turned = text[1:] if text[:1] == b"-" else b"-" + text.removeprefix(b"+")
    return [turned + LF]


def _half(moment: Moment) -> bytes:
    return moment.message[: max(1, len(moment.message) // 2)]


def _noise(moment: Moment) -> Script:
    noise = bytes(moment.rng.randrange(256) for _ in range(20))
    return [noise.replace(LF, b"x") + LF]


def _in_place(text: bytes) -> Callable[[Moment], Script]:
    """Return the kind that puts ``text`` in the place of the first number of an answer."""

    def act(moment: Moment) -> Script:
        separator = b"," if b"," in moment.message else b"\t"
        return [separator.join([text, *moment.message.split(separator)[1:]]) + LF]

    return act


def _one_behind(moment: Moment) -> Script:
    """Answer each question with the answer to the one before."""
    return [(moment.held or moment.last or b"0") + LF]


def _endless(_: Moment) -> Iterator[bytes]:
    while True:
        yield b"x" * 4096


def _drip(moment: Moment) -> Iterator[bytes | float]:
    for _ in range(int(6 * moment.timeout_s / 0.05)):
        yield b"1"
        yield 0.05


def _exchanged(moment: Moment) -> Script:
    """Hold a message back until the next one has gone."""
    return [] if moment.nth == 0 else [moment.message + LF, moment.held + LF]


KINDS = (
    # delays
    Kind("answer after the time-out", "answer", lambda m: [1.5 * m.timeout_s, m.message + LF]),
    Kind("answer late, in time", "answer", lambda m: [0.6 * m.timeout_s, m.message + LF]),
    Kind(
        "answer in two halves", "answer", lambda m: [_half(m), 0.2, m.message[len(_half(m)) :] + LF]
    ),
    Kind("answer that drips without end", "answer", _drip, endless=True),
    # drops
    Kind("answer lost", "answer", lambda _: []),
    Kind("half an answer, no end", "answer", lambda m: [_half(m)]),
    Kind("no answer any more on this link", "answer", lambda _: [], lasts=1 << 30, of_link=True),
    Kind("link closed instead of an answer", "answer", lambda _: [CLOSE], of_link=True),
    Kind("link closed within an answer", "answer", lambda m: [_half(m), CLOSE], of_link=True),
    Kind("link closed, and no new one", "answer", lambda _: [CLOSE], cuts_off=True),
    Kind("setting lost", "request", lambda _: [], question=False),
    Kind("question lost", "request", lambda _: [], question=True),
    Kind("link closed before a message", "request", lambda _: [CLOSE], of_link=True),
    # doubles
    Kind("answer twice", "answer", lambda m: [m.message + LF + m.message + LF]),
    Kind("answer twice, with a pause", "answer", lambda m: [m.message + LF, 0.1, m.message + LF]),
    Kind("message twice", "request", lambda m: [m.message + LF + m.message + LF]),
    Kind("answer without a question", "request", lambda m: [Back(UNASKED), m.message + LF]),
    # reorders
    Kind("the answer before instead", "answer", lambda m: [(m.last or b"0") + LF]),
    Kind(
        "the answer before, then this", "answer", lambda m: [(m.last or b"0") + LF + m.message + LF]
    ),
    Kind("each answer one behind", "answer", _one_behind, lasts=1 << 30, of_link=True),
    Kind("two messages exchanged", "request", _exchanged, lasts=2, question=False),
    # corrupts
    Kind("byte of an answer lost", "answer", _lost_byte),
    Kind("byte of an answer doubled", "answer", _doubled_byte),
    Kind("byte of an answer changed", "answer", _changed_byte),
    Kind("digit of an answer changed", "answer", _changed_digit, numeric=True),
    Kind("sign of an answer changed", "answer", _changed_sign, numeric=True),
    Kind("NUL in an answer", "answer", lambda m: [m.message[:2] + b"\0" + m.message[2:] + LF]),
    Kind("half an answer", "answer", lambda m: [_half(m) + LF]),
    Kind("empty answer", "answer", lambda _: [LF]),
    Kind("noise instead of an answer", "answer", _noise),
    Kind("answer with CR LF", "answer", lambda m: [m.message + b"\r\n"]),
    Kind("decimal comma", "answer", lambda m: [m.message.replace(b".", b",") + LF], numeric=True),
    Kind("NAN instead of a number", "answer", _in_place(b"NAN"), numeric=True),
    Kind("INF instead of a number", "answer", _in_place(b"INF"), numeric=True),
    Kind("overflow instead of a number", "answer", _in_place(b"+9.910000E+37"), numeric=True),
    Kind("answer of 10 MB", "answer", lambda _: [b"7" * 10_000_000 + LF], of_link=True),
    Kind("answer without end", "answer", _endless, endless=True),
    Kind("byte of a message lost", "request", _lost_byte),
    Kind("byte of a message doubled", "request", _doubled_byte),
    Kind("byte of a message changed", "request", _changed_byte),
    Kind("digit of a message changed", "request", _changed_digit),
)
