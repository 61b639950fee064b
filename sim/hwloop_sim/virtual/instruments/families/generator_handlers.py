"""Handlers of commands that set and ask the attributes of a generator's output."""

from __future__ import annotations

from typing import TypedDict

from hwloop_sim.virtual.instruments.families.generator_output import Output
from hwloop_sim.virtual.languages.scpi import Arguments, Getter, Setter


class Handlers(TypedDict):
    """Setter and getter of one header."""

    set: Setter
    get: Getter


def exact(value: float) -> str:
    """Format a number as the instrument does, in 15 digits."""
    return f"{value:+.15E}"


def number_of(output: Output, name: str) -> Getter:
    """Make the getter of a number."""
    return lambda _: exact(getattr(output, name))


def flag_of(output: Output, name: str) -> Getter:
    """Make the getter of an ON/OFF setting."""
    return lambda _: str(int(getattr(output, name)))


def bounded(output: Output, name: str, lowest: float, highest: float) -> Handlers:
    """Make the handlers of a bounded number that has no effect on the model."""

    def change(arguments: Arguments) -> None:
        setattr(output, name, arguments.number(lowest=lowest, highest=highest))

    return {"set": change, "get": number_of(output, name)}


def word(output: Output, name: str, *forms: str) -> Handlers:
    """Make the handlers of a choice that has no effect on the model."""

    def change(arguments: Arguments) -> None:
        setattr(output, name, arguments.choice(*forms))

    return {"set": change, "get": lambda _: str(getattr(output, name))}
