"""Base class of every settings model; validation errors become one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo

from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.settings.known_keys import known_keys
from hwloop.types import LARGEST_INTEGER

MAX_DEPTH = 64
"""How deep lists and mappings of settings may be nested."""


class Settings(BaseModel):
    """Base class of frozen settings that refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, data: object, *, folder: Path | None = None) -> Self:
        """Validate ``data``; files named in it are looked up in ``folder``.

        Raises :class:`ConfigError` with the key's path, the value and what is allowed.
        """
        _refuse_unbounded(data, ())
        try:
            return cls.model_validate(data, context={"folder": folder or Path.cwd()})
        except ValidationError as exc:
            raise _config_error(exc, cls) from None


def folder_of(info: ValidationInfo) -> Path:
    """Return the folder in which files named in the settings are looked up.

    The folder that :meth:`Settings.parse` was given; else the working directory.
    """
    return Path((info.context or {}).get("folder", "."))


def _refuse_unbounded(data: object, place: tuple[str, ...]) -> None:
    """Refuse whole numbers that no 64 bits hold, and nesting without end."""
    if isinstance(data, int) and abs(data) > LARGEST_INTEGER:
        sign = "" if data > 0 else "−"
        raise ConfigError(
            f"{sign}2^{abs(data).bit_length() - 1} or more: whole numbers go up to"
            f" {LARGEST_INTEGER}",
            key=".".join(place),
        )
    if not isinstance(data, Mapping | list | tuple):
        return
    if len(place) == MAX_DEPTH:
        raise ConfigError(f"nested deeper than {MAX_DEPTH} levels", key=place[0])
    for key, item in data.items() if isinstance(data, Mapping) else enumerate(data):
        _refuse_unbounded(item, (*place, str(key)))


def _config_error(exc: ValidationError, model: type[BaseModel]) -> ConfigError:
    errors = exc.errors(include_url=False)
    # A misspelt key is missing and unknown at once: the unknown one shows the mistake.
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    more = f" (and {exc.error_count() - 1} more)" if exc.error_count() > 1 else ""
    key = ".".join(str(part) for part in first["loc"])
    return ConfigError(_message(first, model) + more, key=key)


def _message(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        return f"unknown key{nearest(name, known_keys(model, error['loc'][:-1]))}"
    if kind == "missing":
        return "this key is required"
    if kind in ("too_short", "too_long"):
        return f"{_short(error['input'])}: {_length_words(error)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if isinstance(error["input"], Mapping):  # of several keys at once: the message names them
        return message
    return f"{_short(error['input'])}: {message}"


def _length_words(error: Mapping[str, Any]) -> str:
    """Return how many entries were expected, and how many there are."""
    least, bound = error["type"] == "too_short", error["ctx"]
    count = bound["min_length" if least else "max_length"]
    entries = "entry" if count == 1 else "entries"
    found = bound["actual_length"] or "none"
    return f"expected at {'least' if least else 'most'} {count} {entries}; got {found}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
