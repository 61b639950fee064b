"""Conditions on the facts about a record, as ``--where`` takes them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwloop.catalogue.facts import Value
from hwloop.errors import ConfigError

_FORM = re.compile(r"([^\s=!<>~]+)(!=|<=|>=|=|<|>|~)([^\s=!<>~].*)", re.DOTALL)
_DATES = ("started", "ended")
_SAME_NUMBER = 1e-9  # 200 ns and 2e-7 s are the same
_SINGULAR = {"tag": "tags", "note": "notes"}
LISTS = ("tags", "notes")
"""Facts of several texts, a line each."""


@dataclass(frozen=True)
class Condition:
    """A condition on one fact: a name, an operator (= != < <= > >= ~), and a value as text."""

    name: str
    operator: str
    value: str

    def holds(self, facts: Mapping[str, Value]) -> bool:
        """Return whether it holds; of what a record lacks only ``!=`` does.

        Numbers are compared as numbers, and texts as texts; ~ means "contains", in capitals or not.
        Dates are compared as far as they are given: ``started<=2026-11-30`` holds all that day.
        """
        if self.operator == "!=":
            return not Condition(self.name, "=", self.value).holds(facts)
        fact = facts.get(self.name)
        if fact is None:
            return False
        if self.name in LISTS:
            return any(self._holds_text(line) for line in str(fact).split("\n"))
        if isinstance(fact, str):
            is_date = self.name in _DATES and self.operator != "~"
            return self._holds_text(fact[: len(self.value)] if is_date else fact)
        number = _number(self.value)
        if number is None or self.operator == "~":
            return self.operator == "~" and self.value.casefold() in text_of(fact).casefold()
        if math.isclose(fact, number, rel_tol=_SAME_NUMBER):
            return "=" in self.operator
        return fact < number if "<" in self.operator else ">" in self.operator and fact > number

    def _holds_text(self, fact: str) -> bool:
        match self.operator:
            case "=":
                return fact == self.value
            case "~":
                return self.value.casefold() in fact.casefold()
            case "<":
                return fact < self.value
            case "<=":
                return fact <= self.value
            case ">":
                return fact > self.value
            case _:
                return fact >= self.value


def text_of(value: Value | None) -> str:
    """Return a fact as text: numbers with six digits, "–" for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())


def parse_conditions(texts: Iterable[str]) -> list[Condition]:
    """Return the conditions in texts such as ``"seed<10 status=completed note~'probe 3'"``.

    Raises :class:`ConfigError` with the part that is no condition.
    """
    found = []
    for text in texts:
        try:
            words = shlex.split(text)
        except ValueError as exc:
            raise ConfigError(f"--where {text!r}: {exc}") from None
        for word in words:
            match = _FORM.fullmatch(word)
            if match is None:
                raise ConfigError(
                    f"--where: {word!r} is no condition; expected NAME, then = != < <= > >= or ~,"
                    " then a value, without blanks between"
                )
            name, operator, value = match.groups()
            found.append(Condition(_SINGULAR.get(name, name), operator, value))
    return found


def _number(text: str) -> float | None:
    truth = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
    if text.lower() in truth:
        return truth[text.lower()]
    try:
        return float(text)
    except ValueError:
        return None
