"""Points of a sweep: every combination of the given values, validated beforehand."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.backend.kind import BackendKind
from hwloop.backend.registered import backend_kind
from hwloop.errors import ConfigError, HwloopError
from hwloop.execution.execute import request_for
from hwloop.execution.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.settings.yaml import parse_yaml
from hwloop.types import LARGEST_INTEGER

SEED = "seed"
MOST_POINTS = 100_000
_MOST_DIGITS = len(f"-{LARGEST_INTEGER}")
_WHOLE = re.compile(r"-?\d+")
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(\d+))?")


@dataclass(frozen=True)
class Axis:
    """One setting and the values that it takes, as plain data."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Point:
    """One run of a sweep. ``overrides``: as for --set, those of every point first."""

    index: int
    values: tuple[tuple[str, Any], ...]
    overrides: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The settings of the point, such as ``"tolerance=0.01 seed=3"``."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.values)


def shown(value: Any) -> str:
    """Format a value as it stands in a table."""
    return value if isinstance(value, str) else json.dumps(value)


def read_axis(text: str) -> Axis:
    """Parse ``KEY=A,B,C``, values in YAML, or ``KEY=FIRST:END[:STEP]`` without END.

    Settings that change together are one axis: ``KEY+OTHER=A+1,B+2`` or
    ``KEY+OTHER=[A, 1],[B, 2]``. Raises :class:`ConfigError` where it is none of these, or a value
    stands twice.
    """
    key, equals, given = text.partition("=")
    if not (key and equals and given.strip()):
        raise ConfigError(f"--over {text!r}: expected KEY=VALUE,VALUE,… or KEY=FIRST:END")
    parts = [part.strip() for part in given.split(",")]
    if all(_WHOLE.fullmatch(part) or _RANGE.fullmatch(part) for part in parts):
        values = [value for part in parts for value in _whole_numbers(part)]
    else:
        try:
            values = parse_yaml(f"[{given}]")
        except ConfigError as exc:
            raise ConfigError(f"--over {text!r}: {exc}") from None
    if not values:
        raise ConfigError(f"--over {text!r}: there is no value in it")
    texts = [shown(value) for value in values]
    twice = (
        next((one for one in texts if texts.count(one) > 1), None) if len(texts) < 5000 else None
    )
    if twice is not None:
        raise ConfigError(f"--over {text!r}: the value {twice} stands twice")
    for value in values:
        set_by(key, value)
    return Axis(key, tuple(values))


def set_by(key: str, value: Any) -> tuple[str, ...]:
    """Return the overrides ``KEY=VALUE`` of a value of an axis, one for each key joined by ``+``.

    Raises :class:`ConfigError` where there are more keys than parts of the value, or fewer.
    """
    keys = key.split("+")
    if len(keys) == 1:
        return (f"{key}={json.dumps(value)}",)
    texts = value.split("+") if isinstance(value, str) else None
    parts = value if isinstance(value, list) else [value] if texts is None else texts
    if len(parts) != len(keys):
        raise ConfigError(
            f"--over {key}: {shown(value)} has {len(parts)} parts for {len(keys)} settings"
        )
    if texts is not None:
        parts = [parse_yaml(text) for text in texts]
    return tuple(f"{one}={json.dumps(part)}" for one, part in zip(keys, parts, strict=True))


def _whole_numbers(part: str) -> Sequence[int]:
    match = _RANGE.fullmatch(part)
    first, end, step = (part, None, None) if match is None else match.groups()
    for digits in (first, end, step):
        if len(digits or "") > _MOST_DIGITS or abs(int(digits or 0)) > LARGEST_INTEGER:
            raise ConfigError(
                f"--over: {(digits or '')[:_MOST_DIGITS]}…: whole numbers go up to"
                f" {LARGEST_INTEGER}"
            )
    if end is None:
        return [int(first)]
    if step is not None and not int(step):
        raise ConfigError(f"--over {part}: a step of 0 leads nowhere")
    found = range(int(first), int(end), int(step or 1))
    if found and (found[-1] - found[0]) // found.step >= MOST_POINTS:
        raise ConfigError(f"--over {part}: more values than a sweep has points, {MOST_POINTS}")
    return found


def points(over: Sequence[str], overrides: Sequence[str] = ()) -> tuple[Point, ...]:
    """Return every combination, the last axis running fastest; raises :class:`ConfigError`."""
    axes = [read_axis(text) for text in over]
    if not axes:
        raise ConfigError("a sweep needs --over KEY=VALUE,VALUE,…")
    keys = [axis.key for axis in axes]
    each = [one for key in keys for one in key.split("+")]
    twice = next((key for key in each if each.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f"--over {twice}: is given twice")
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_POINTS:
        raise ConfigError(f"{count} points; a sweep has at most {MOST_POINTS}")
    combinations = itertools.product(*(axis.values for axis in axes))
    return tuple(
        Point(
            index,
            tuple(zip(keys, values, strict=True)),
            (
                *overrides,
                *(one for k, v in zip(keys, values, strict=True) for one in set_by(k, v)),
            ),
        )
        for index, values in enumerate(combinations)
    )


def validate(procedure: Path, all_points: Sequence[Point], backend: str) -> list[dict[str, Any]]:
    """Return the resolved procedure of each point, if all are valid.

    That is: within the array's limits, and of operations that the backend can do. Points that
    differ only in the seed are checked once beyond it. Raises the first error, with the point
    that it is of.
    """
    kind = backend_kind(backend)
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    resolved = []
    for point in all_points:
        seed = dict(point.values).get(SEED)
        key = tuple(one for one in point.overrides if not one.startswith(f"{SEED}="))
        if key not in known or not (type(seed) is int and seed >= 0):
            known[key] = _validated(procedure, point, kind)
        one = known[key]
        resolved.append(one | {SEED: seed} if seed is not None else one)
    return resolved


def _validated(path: Path, point: Point, backend: BackendKind[Any]) -> dict[str, Any]:
    try:
        procedure = load_procedure(path, point.overrides)
        refuse_beyond_limits(procedure)
        _refuse_unsupported(procedure, backend)
    except HwloopError as exc:
        kind = type(exc)
        raise kind(f"point {point.index} ({point.summary}): {exc}") from None
    found: dict[str, Any] = json.loads(json.dumps(procedure.resolved))
    return found


def _refuse_unsupported(procedure: Procedure, backend: BackendKind[Any]) -> None:
    """Raise what the backend refuses, unless only a run can find out."""
    if not backend.has_dry_run:
        return
    request, _ = request_for(procedure, seed=procedure.seed)
    with backend.open_dry(procedure.backend_settings(backend), request) as opened:
        refuse_unsupported(procedure, opened)
