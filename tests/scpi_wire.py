"""The far end of a wire: remembers what was set, answers what is asked, as a SCPI box would."""

from __future__ import annotations

from collections.abc import Callable

from hwloop_drivers.links.link import Link


class ScpiWire(Link):
    """``settings``: what headers answer before they are set; ``given`` overrides answers."""

    def __init__(
        self, settings: dict[str, str] | None = None, given: dict[str, str] | None = None
    ) -> None:
        self.address = "wire"
        self.sent: list[str] = []
        self.values = dict(settings or {})
        self.given = dict(given or {})

    def write(self, text: str) -> None:
        self.sent.append(text)
        for unit in text.split(";"):
            header, _, value = unit.partition(" ")
            self.values[header] = value

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        if text in self.given:
            return self.given[text]
        replies = []
        for unit in text.split(";"):
            if unit == "*OPC?":
                replies.append("1")
            elif unit.endswith("?"):
                replies.append(self.given.get(unit) or self.values[unit.removesuffix("?")])
            elif " " in unit:
                header, _, value = unit.partition(" ")
                self.values[header] = value
        return ";".join(replies)

    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        raise AssertionError(text)

    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    def close(self) -> None:
        pass
