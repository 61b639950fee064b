"""Options and output of ``hwloop calibrate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hwloop.errors import ConfigError
from hwloop.settings.yaml import parse_yaml

if TYPE_CHECKING:
    from hwloop_sim.calibrate.rank import Candidate


def held(options: Sequence[str]) -> dict[str, Any]:
    """Parse the settings of ``--fix NAME=VALUE``; the values are YAML.

    Raises :class:`ConfigError` with the option if it is not of that form.
    """
    found: dict[str, Any] = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not (name and sign and value):
            raise ConfigError(f"{option!r}: expected NAME=VALUE", key="fix")
        try:
            found[name] = parse_yaml(value)
        except ConfigError as exc:
            raise ConfigError(f"{option!r}: {exc}", key="fix") from None
    return found


def table(ranked: Sequence[Candidate]) -> Iterator[str]:
    """Yield one line per model, the best first, with the reason if it was not fitted."""
    yield "error of the held-out part, over the range measured:"
    for one in ranked:
        if one.found is None:
            yield f"  {one.model:18} -        {one.reason}"
        elif one.error is None:
            yield f"  {one.model:18} unknown  half of the data does not determine it"
        else:
            yield f"  {one.model:18} {one.error:.2%}"
