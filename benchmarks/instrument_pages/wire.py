"""Commands in the messages of a wire log, without the values that a caller chose.

A command in SCPI is its header with its words, numbers as ``<n>``, the number of a channel in a
header as ``<c>``: ``:SOUR<c>:VOLT <n>``. In TSP it is a name: ``smu.source.level``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["scpi", "tsp", "words"]
LUA_WORDS = [
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
]
OURS = "hwloop"  # the table that the scripts keep in an instrument
BEGIN, END = "loadandrunscript", "endscript"

_TEXT = re.compile(r"\"[^\"]*\"|'[^']*'")
_UNIT = re.compile(r"((?:\"[^\"]*\"|[^;\"])+)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CHANNEL_OF_HEADER = re.compile(r"(?<=[A-Za-z])\d+(?=[:?]|$)")
_PARAMETER = re.compile(r"\(@[^)]*\)|\"[^\"]*\"|[^,]+")
_REPEATED = re.compile(r"<n>(,<n>){2,}")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\[[^\[\]]*\])?(?:\.[A-Za-z_]\w*)*")
_LOCALS = re.compile(
    r"\blocal\s+([\w, ]+)|\bfor\s+([\w, ]+?)\s*(?:=|in\b)|\bfunction[^(]*\(([^)]*)"
)


@dataclass(frozen=True)
class Dialect:
    """How messages of an instrument are taken apart.

    ``aliases``: patterns of names in TSP, and what stands for them: channels of one kind, and the
    arguments by which the scripts call them. ``framed``: a number before each message, and a
    checksum after it.
    """

    language: Language
    aliases: Mapping[str, str] = field(default_factory=dict)
    framed: bool = False

    def unframed(self, message: str) -> str:
        """Return the message without its number and checksum."""
        return message.partition(" ")[2].rpartition(" ")[0] if self.framed else message

    def commands(self, messages: Sequence[str]) -> list[str]:
        """Return the commands of some messages in the order of sending, each as often as sent."""
        if self.language == "tsp":
            return list(self._names(messages))
        if self.language == "words":
            return [self.unframed(message).partition(" ")[0] for message in messages]
        return [command for message in messages for command in scpi_commands(message)]

    def _names(self, messages: Sequence[str]) -> Iterator[str]:
        declared = {
            name.strip()
            for message in messages
            for found in _LOCALS.findall(message)
            for name in ",".join(found).split(",")
        }
        for message in messages:
            if message.startswith("*"):
                yield from scpi_commands(message)
                continue
            code = _TEXT.sub("''", message)
            for pattern, stands_for in self.aliases.items():
                code = re.sub(pattern, stands_for, code)
            yield from _told_names(code, declared, frozenset(self.aliases.values()))


def _told_names(code: str, declared: set[str], channels: frozenset[str]) -> Iterator[str]:
    for name in _NAME.findall(code):
        root = re.split(r"[.\[]", name)[0]
        if name in LUA_WORDS or root in declared or root == OURS or name in channels:
            continue
        yield re.sub(r"\[\d+\]", "[<n>]", name)


def scpi_commands(message: str) -> list[str]:
    """Return the commands of one message in SCPI.

    Example: ``:SOUR1:VOLT 0.5;*OPC?`` gives ``[":SOUR<c>:VOLT <n>", "*OPC?"]``.
    """
    return [_scpi(unit) for unit in scpi_units(message)]


def scpi_units(message: str) -> list[str]:
    """Return the units of a message, which semicolons part."""
    return [unit.strip() for unit in _UNIT.findall(message) if unit.strip()]


def _scpi(unit: str) -> str:
    header, _, rest = unit.partition(" ")
    header = _CHANNEL_OF_HEADER.sub("<c>", header)
    parameters = [_parameter(found.strip()) for found in _PARAMETER.findall(rest)]
    told = _REPEATED.sub("<n>,…", ",".join(parameters))
    return f"{header} {told}".rstrip()


def _parameter(text: str) -> str:
    if text.startswith("(@"):
        return "(@<channels>)"
    return "<n>" if _NUMBER.fullmatch(text) else text
