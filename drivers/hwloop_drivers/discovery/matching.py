"""Drivers that accept an identity, by the rule by which they verify it when a run begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from typing_extensions import override

from hwloop import plugins
from hwloop.errors import BackendError, ConfigError
from hwloop_drivers.instruments.families.identified import (
    IdentifiedInstrument,
    Identity,
    Verdict,
)
from hwloop_drivers.links.link import Link


@dataclass(frozen=True)
class FittingDrivers:
    """Drivers for an identity. ``near``: without any, what would have to be set for one."""

    drivers: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


def match(identity: str) -> FittingDrivers:
    """Return the drivers that accept this identity, and else those that are near."""
    if not identity:
        return FittingDrivers()
    verdicts = {
        (name, model): verdict
        for name, kind in plugins.load_all(plugins.INSTRUMENTS).items()
        for model, verdict in _verdicts(kind, identity)
    }
    accepted = [name for (name, _), verdict in verdicts.items() if verdict is Verdict.ACCEPTED]
    if accepted:
        return FittingDrivers(drivers=tuple(dict.fromkeys(accepted)))
    found = Identity.parsed(identity).model
    return FittingDrivers(
        near=tuple(
            f"{name} with accept_model: {found}{f' and settings.model: {model}' if model else ''}"
            for (name, model), verdict in verdicts.items()
            if verdict is Verdict.NEAR
        )
    )


def _verdicts(kind: Any, identity: str) -> Iterator[tuple[str, Verdict]]:
    """Yield the judgement of a driver, set for each model that its settings can name."""
    field = kind.settings.model_fields.get("model")
    left_out = field is None or field.default is None  # then the identity chooses
    for model in ("",) if left_out else get_args(field.annotation):
        try:
            settings = kind.settings.parse({"model": model} if model else {})
            driver = kind.make(_FixedReplyLink(identity), settings)
            yield model, _judged(driver, identity)
        except (BackendError, ConfigError):
            continue  # settings without which nothing is known, or another instrument


def _judged(driver: Any, identity: str) -> Verdict:
    if isinstance(driver, IdentifiedInstrument):
        return driver.judge(identity)
    driver.verify_identity()
    return Verdict.ACCEPTED


class _FixedReplyLink(Link):
    """A fixed-reply link: it answers every question with one identity."""

    address = "discovery"

    def __init__(self, identity: str) -> None:
        self._identity = identity

    @override
    def write(self, text: str) -> None:
        pass

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        return self._identity

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        return self._identity.encode("latin-1")

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        pass

    @override
    def close(self) -> None:
        pass
