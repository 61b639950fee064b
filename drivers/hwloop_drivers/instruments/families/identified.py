"""Base of the drivers of instruments that answer ``*IDN?``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from typing_extensions import override

from hwloop.errors import ConfigError, UnexpectedReply
from hwloop_drivers.roles import Instrument

KEITHLEY = ("KEITHLEY",)
KEYSIGHT = ("KEYSIGHT", "AGILENT", "HEWLETT-PACKARD")
"""How the first field of the identity begins, in capitals: Keysight was Agilent, and HP before."""


class Verdict(Enum):
    """Judgement of an identity: the driver is for it, for a near one, or for another one."""

    ACCEPTED = auto()
    NEAR = auto()
    OTHER = auto()


@dataclass(frozen=True)
class Identity:
    """Maker and model of an answer to ``*IDN?``, in capitals; the model without the word "MODEL".

    IEEE 488.2, 10.14: maker, model, serial number and firmware with commas between them. Serial
    numbers and firmware are never looked at: they hold the digits of any model.
    """

    maker: str
    model: str

    @classmethod
    def parsed(cls, text: str) -> Identity:
        """Return maker and model; both "" where the answer has no second field."""
        maker, *rest = (field.strip().upper() for field in text.split(","))
        if rest and rest[0] in {"INC.", "INC", "LTD.", "LTD"}:  # of a maker with a comma
            rest = rest[1:]
        return cls(maker, model_name(rest[0])) if rest else cls("", "")


def model_name(text: str) -> str:
    """Return a model in capitals, without the word "MODEL" that Keithley puts before it."""
    return text.strip().upper().removeprefix("MODEL").strip()


class IdentifiedInstrument(Instrument):
    """An instrument whose answer to ``*IDN?`` is compared with the models of its driver.

    A driver whose settings name one model narrows :attr:`models` to it in its ``__init__``, and
    :attr:`near` to what is near that one.
    """

    makers: tuple[str, ...] = ()
    """How the maker's field may begin, in capitals; () for any maker."""
    models: tuple[str, ...] = ()
    """Models that the driver is for, as the second field of the identity has them."""
    near: tuple[str, ...] = ()
    """Models of like commands, taken where the station allows one by ``accept_model``."""
    _id = ""
    _allowed = ""

    @property
    @override
    def id(self) -> str:
        if not self._id:
            self._id = self.link.query("*IDN?").strip()
        return self._id

    def judge(self, identity: str) -> Verdict:
        """Return whether the driver is for the instrument of this identity, as it is set up.

        By this one rule the identity is verified and discovery claims drivers.
        """
        found = Identity.parsed(identity)
        if self.makers and not found.maker.startswith(self.makers):
            return Verdict.OTHER
        if found.model in map(model_name, self.models):
            return Verdict.ACCEPTED
        if found.model in map(model_name, self.near):
            return Verdict.ACCEPTED if found.model == self._allowed else Verdict.NEAR
        return Verdict.OTHER

    @override
    def allow(self, model: str) -> None:
        if model_name(model) not in map(model_name, self.near):
            near = f"near {_listed(self.models)} are {_listed(self.near)}" if self.near else ""
            raise ConfigError(
                f"{model!r} is not near {_listed(self.models)}; {near or 'no model is'}"
            )
        self._allowed = model_name(model)

    @property
    @override
    def stand_in(self) -> str:
        model = Identity.parsed(self._id).model
        return model if model and model == self._allowed else ""

    @override
    def verify_identity(self) -> None:
        identity = self._id = self.link.query("*IDN?").strip()
        verdict = self.judge(identity)
        if verdict is Verdict.ACCEPTED:
            return
        model = Identity.parsed(identity).model
        raise UnexpectedReply(
            f"{self.link.address}: expected {_listed(self.models)}, found {identity!r};"
            f" {self._remedy(model, near=verdict is Verdict.NEAR)}"
        )

    def _remedy(self, model: str, *, near: bool) -> str:
        if model in map(model_name, type(self).models):
            return f"set settings.model: {model} in the station"
        if near:
            return (
                f"a {model} is near but was never tried: where the ranges and limits of"
                f" {_listed(self.models)} are its own, allow it with accept_model: {model}"
            )
        return "check the station's kind and address"


def _listed(models: tuple[str, ...]) -> str:
    return " or ".join(map(model_name, models))
