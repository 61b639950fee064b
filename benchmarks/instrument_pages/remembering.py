"""A stand-in for an instrument that has no virtual one: answers what was set."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.instrument_pages.wire import scpi_units
from hwloop_drivers.testing import InProcessLink


class RememberingLink(InProcessLink):
    """A link whose far end remembers settings in SCPI; ``answers``: by header, before a setting."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        super().__init__(self._answer)
        self._values = {"*OPC": "1", **answers}

    def _answer(self, message: str) -> str | None:
        replies = []
        for unit in scpi_units(message):
            header, _, value = unit.partition(" ")
            if header.endswith("?"):
                replies.append(self._values[header.removesuffix("?")])
            else:
                self._values[header] = value
        return ";".join(replies) if replies else None
