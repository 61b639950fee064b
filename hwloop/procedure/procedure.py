"""Procedure files: read, override, validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt

from hwloop import plugins
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import BackendKind
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.procedure.sections import calibration_override
from hwloop.settings.field_units import below, units_of
from hwloop.settings.model import Settings
from hwloop.settings.yaml import parse_yaml, read_text
from hwloop.steps.contract import Plan, Step


class StepEntry(Settings):
    """One entry of ``steps``: the step, its label in the record, and its settings."""

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
        """Return the settings for a backend; its defaults when the procedure has none."""
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
    path: Path,
    overrides: Sequence[str] = (),
    *,
    calibration: str | None = None,
    backend: str | None = None,
) -> Procedure:
    """Read and validate a procedure file.

    ``overrides``: ``"steps.0.settings.beta_per_a=5e6"``, values in YAML; a step may also be given
    by its label or, where it stands once, its name. ``calibration``: a calibration, by its shipped
    name or a path relative to the working directory, that the array is emulated with in place of
    the procedure's device. ``backend``: the emulator that gets it, where there are several. Raises
    :class:`ConfigError` with file, key, value and what is allowed.
    """
    text = read_text(path)
    given = list(overrides)
    data = parse_yaml(text, file=str(path))
    if calibration is not None and isinstance(data, dict):
        given.insert(0, calibration_override(data, calibration, backend))
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
    left: dict[type, object] = {}
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
            plan = (
                step.plan(settings, entry.array)
                if step.plan_after is None
                else step.plan_after(settings, entry.array, left)
            )
        except ConfigError as exc:
            raise exc.below(f"steps.{index}.settings") from None
        left.update(plan.leaves)
        # Networks are large, and a sweep keeps many procedures.
        prepared.append(PreparedStep(label, step, settings, replace(plan, leaves={})))
    return tuple(prepared)


def _override(data: Any, override: str) -> None:
    """Set one value of a procedure in place, ``"KEY.PATH=VALUE"``, the value in YAML."""
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
            raise _NoPlace(last)
    except _NoPlace as exc:
        raise ConfigError(f"--set {override!r}: there is no {exc}") from None


def _child(data: Any, part: str) -> Any:
    if isinstance(data, list):
        return data[_index(data, part)]
    if isinstance(data, dict):
        return data.setdefault(part, {})
    raise _NoPlace(part)


def _index(data: list[Any], part: str) -> int:
    """Return the index of an entry by number, or by the label or the name of one step only."""
    index = {str(number): number for number in range(len(data))}.get(part)
    if index is not None:
        return index
    for key in ("label", "step"):
        found = [i for i, one in enumerate(data) if isinstance(one, dict) and one.get(key) == part]
        if len(found) == 1:
            return found[0]
    raise _NoPlace(part, _names_of(data))


def _names_of(data: list[Any]) -> list[str]:
    """Return the labels and the names of the steps in a list, each once."""
    entries = [one for one in data if isinstance(one, dict)]
    names = [one.get(key) for one in entries for key in ("label", "step")]
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


class _NoPlace(Exception):
    """The part of an override's path at which there is nothing to set."""

    def __init__(self, part: str, known: Sequence[str] = ()) -> None:
        super().__init__(f"{part!r} to set{nearest(part, known)}")
