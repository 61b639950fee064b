"""Procedure files: read, override, validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt

from hwloop import plugins
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import BackendKind
from hwloop.errors import ConfigError
from hwloop.settings.field_units import below, units_of
from hwloop.settings.model import Settings
from hwloop.settings.yaml import parse_yaml
from hwloop.steps.contract import Plan, Step


class StepEntry(Settings):
    """One entry of ``steps``: which step, under which label in the record, with which settings."""

    step: str
    label: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]+$")
    settings: dict[str, Any] = Field(default_factory=dict)


class ProcedureFile(Settings):
    """The procedure file as written; steps and backends are validated by their own models."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    about: str = ""
    seed: NonNegativeInt = 0
    array: ArraySettings
    backends: dict[str, dict[str, Any]] = Field(default_factory=dict)
    steps: list[StepEntry] = Field(min_length=1)


@dataclass(frozen=True)
class PreparedStep:
    """A step with its validated settings and its plan for the procedure's array."""

    label: str
    step: Step[Any]
    settings: Settings
    plan: Plan


@dataclass(frozen=True)
class Procedure:
    """A validated procedure.

    ``text``: the file as read. ``overrides``: what was set on the command line. ``resolved``:
    the whole procedure as plain data after overrides, with every default and every array that
    came from a file, so that nothing else is needed to run it again.
    """

    name: str
    about: str
    seed: int
    array: ArraySettings
    backends: Mapping[str, Settings]
    steps: tuple[PreparedStep, ...]
    text: str
    overrides: tuple[str, ...]

    def backend_settings(self, kind: BackendKind[Any]) -> Settings:
        """The settings for a backend; its defaults when the procedure has none."""
        if kind.name in self.backends:
            return self.backends[kind.name]
        try:
            settings: Settings = kind.settings.parse({})
        except ConfigError as exc:
            raise exc.below(f"backends.{kind.name}") from None
        return settings

    @property
    def resolved(self) -> dict[str, Any]:
        """The procedure as plain data that :func:`from_data` reads back."""
        return {
            "name": self.name,
            "about": self.about,
            "seed": self.seed,
            "array": self.array.model_dump(mode="json"),
            "backends": {
                name: settings.model_dump(mode="json") for name, settings in self.backends.items()
            },
            "steps": [
                {
                    "step": entry.step.name,
                    "label": entry.label,
                    "settings": entry.settings.model_dump(mode="json"),
                }
                for entry in self.steps
            ],
        }

    @property
    def units(self) -> dict[str, str]:
        """Return the unit of each setting of :attr:`resolved` by its path, from its type.

        ``{"array.limits.positive_v": "V", "steps.0.settings.width_s": "s", …}``.
        """
        found = below("array", units_of(self.array))
        for name, settings in self.backends.items():
            found |= below(f"backends.{name}", units_of(settings))
        for index, entry in enumerate(self.steps):
            found |= below(f"steps.{index}.settings", units_of(entry.settings))
        return found


def load_procedure(
    path: Path, overrides: Sequence[str] = (), *, calibration: str | None = None
) -> Procedure:
    """Read and validate a procedure file.

    ``overrides``: ``"steps.0.settings.beta_per_a=5e6"``, values in YAML; a step may also be given
    by its label or, where it stands once, its name. ``calibration``: what the emulated array is,
    in place of the procedure's; a shipped name or a path as seen from here. Raises
    :class:`ConfigError` with file, key, value and what is allowed.
    """
    from hwloop.procedure.twin import twin_override

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    given = list(overrides)
    try:
        data = parse_yaml(text)
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
    if calibration is not None and isinstance(data, dict):
        given.insert(0, twin_override(data, calibration))
    try:
        return from_data(data, folder=path.parent, text=text, overrides=given)
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None


def from_data(
    data: object, *, folder: Path, text: str = "", overrides: Sequence[str] = ()
) -> Procedure:
    """Validate a procedure given as plain data; files named in it are relative to ``folder``."""
    for override in overrides:
        _override(data, override)
    entry = ProcedureFile.parse(data, folder=folder)
    return Procedure(
        name=entry.name,
        about=entry.about,
        seed=entry.seed,
        array=entry.array,
        backends=_backends(entry.backends, folder),
        steps=_steps(entry, folder),
        text=text,
        overrides=tuple(overrides),
    )


def _backends(entries: Mapping[str, dict[str, Any]], folder: Path) -> dict[str, Settings]:
    settings: dict[str, Settings] = {}
    for name, data in entries.items():
        try:
            kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, name)
            settings[name] = kind.settings.parse(data, folder=folder)
        except ConfigError as exc:
            raise exc.below(f"backends.{name}") from None
    return settings


def _steps(entry: ProcedureFile, folder: Path) -> tuple[PreparedStep, ...]:
    prepared: list[PreparedStep] = []
    for index, item in enumerate(entry.steps):
        try:
            step: Step[Any] = plugins.load(plugins.STEPS, item.step)
        except ConfigError as exc:
            raise exc.below(f"steps.{index}.step") from None
        label = item.label or item.step
        if label in {other.label for other in prepared}:
            raise ConfigError(
                f"{label!r} stands for an earlier step; give this one another",
                key=f"steps.{index}.label",
            )
        try:
            settings = step.settings.parse(item.settings, folder=folder)
            plan = step.plan(settings, entry.array)
        except ConfigError as exc:
            raise exc.below(f"steps.{index}.settings") from None
        prepared.append(PreparedStep(label, step, settings, plan))
    return tuple(prepared)


def _override(data: Any, override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {override!r}: expected KEY.PATH=VALUE")
    *parents, last = path.split(".")
    try:
        for part in parents:
            data = _child(data, part)
        if isinstance(data, list):
            data[_index(data, last)] = parse_yaml(text)
        elif isinstance(data, dict):
            data[last] = parse_yaml(text)
        else:
            raise KeyError(last)
    except (KeyError, IndexError, ValueError) as exc:
        raise ConfigError(f"--set {override!r}: there is no {exc.args[0]!r} to set") from None


def _child(data: Any, part: str) -> Any:
    if isinstance(data, list):
        return data[_index(data, part)]
    if isinstance(data, dict):
        return data.setdefault(part, {})
    raise KeyError(part)


def _index(data: list[Any], part: str) -> int:
    """By number, or by the label or the name of a step where only one has it."""
    if part.isdigit() and int(part) < len(data):
        return int(part)
    for key in ("label", "step"):
        found = [i for i, one in enumerate(data) if isinstance(one, dict) and one.get(key) == part]
        if len(found) == 1:
            return found[0]
    raise KeyError(part)
