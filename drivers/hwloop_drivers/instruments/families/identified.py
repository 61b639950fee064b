"""An instrument that answers ``*IDN?``, whatever else it speaks."""

from __future__ import annotations

from typing import ClassVar

from hwloop.errors import UnexpectedReply
from hwloop_drivers.roles import Instrument


class IdentifiedInstrument(Instrument):
    """Its identity, asked once, and compared with the models that the driver is for."""

    models: ClassVar[tuple[str, ...]]
    """Words, in capitals, one of which the answer to ``*IDN?`` holds."""
    _id = ""

    @property
    def id(self) -> str:
        """Maker, model, serial number and firmware."""
        if not self._id:
            self._id = self.link.query("*IDN?").strip()
        return self._id

    def verify_identity(self) -> None:
        """Raise :class:`hwloop.errors.UnexpectedReply` unless this driver is for this model."""
        identity = self._id = self.link.query("*IDN?").strip()
        if not any(model in identity.upper() for model in self.models):
            raise UnexpectedReply(
                f"{self.link.address}: expected {' or '.join(self.models)}, found {identity!r};"
                " check the station's kind and address"
            )
