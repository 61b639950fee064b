"""Base of the drivers of instruments that answer ``*IDN?``."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from hwloop.errors import UnexpectedReply
from hwloop_drivers.roles import Instrument


class IdentifiedInstrument(Instrument):
    """An instrument whose answer to ``*IDN?`` is compared with the models of its driver."""

    models: ClassVar[tuple[str, ...]]
    """Words, in capitals, one of which the answer to ``*IDN?`` holds."""
    _id = ""

    @property
    @override
    def id(self) -> str:
        if not self._id:
            self._id = self.link.query("*IDN?").strip()
        return self._id

    @override
    def verify_identity(self) -> None:
        identity = self._id = self.link.query("*IDN?").strip()
        if not any(model in identity.upper() for model in self.models):
            raise UnexpectedReply(
                f"{self.link.address}: expected {' or '.join(self.models)}, found {identity!r};"
                " check the station's kind and address"
            )
