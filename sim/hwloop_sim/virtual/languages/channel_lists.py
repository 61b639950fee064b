"""Channel lists of SCPI switches such as (@1101,1105:1108)."""

from __future__ import annotations

from hwloop_sim.virtual.circuit.relays import Relays
from hwloop_sim.virtual.languages.scpi import ILLEGAL, Arguments, ScpiError


def listed(arguments: Arguments, relays: Relays) -> list[str]:
    """Return the channels of a list such as ``(@1101,1105:1108)``; ScpiError if it is none."""
    text = arguments.text().replace(" ", "")
    if not (text.startswith("(@") and text.endswith(")")):
        raise ScpiError(*ILLEGAL)
    found: list[str] = []
    for part in filter(None, text[2:-1].split(",")):
        first, colon, last = part.partition(":")
        try:
            found += relays.between(first, last if colon else first)
        except KeyError:
            raise ScpiError(*ILLEGAL) from None
    return found
