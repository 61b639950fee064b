"""The points of a sweep: every combination of the values that are given, validated beforehand."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.errors import ConfigError, HwloopError
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.run.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.settings.yaml import parse_yaml

SEED = "seed"
MOST_POINTS = 100_000
_WHOLE = re.compile(r"-?\d+")
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(\d+))?")


@dataclass(frozen=True)
class Axis:
    """One setting and the values that it takes, as plain data."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Point:
    """One run of a sweep. ``overrides``: those of every point, then this one's, as for --set."""

    index: int
    values: tuple[tuple[str, Any], ...]
    overrides: tuple[str, ...]

    @property
    def words(self) -> str:
        """``"tolerance=0.01 seed=3"``: what sets it apart, keys in full."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.values)


def shown(value: Any) -> str:
    """A value as a table has it."""
    return value if isinstance(value, str) else json.dumps(value)


def read_axis(text: str) -> Axis:
    """``KEY=A,B,C``, values in YAML; whole numbers also ``KEY=FIRST:END[:STEP]``, END left out.

    Raises :class:`ConfigError` where it is neither, or a value stands twice.
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
    return Axis(key, tuple(values))


def _whole_numbers(part: str) -> Sequence[int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        return [int(part)]
    first, end, step = match.groups()
    return range(int(first), int(end), int(step or 1) or 1)


def points(over: Sequence[str], overrides: Sequence[str] = ()) -> tuple[Point, ...]:
    """Every combination, the last axis running fastest; raises :class:`ConfigError`."""
    axes = [read_axis(text) for text in over]
    if not axes:
        raise ConfigError("a sweep needs --over KEY=VALUE,VALUE,…")
    keys = [axis.key for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
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
                *(f"{k}={json.dumps(v)}" for k, v in zip(keys, values, strict=True)),
            ),
        )
        for index, values in enumerate(combinations)
    )


def validate(procedure: Path, all_points: Sequence[Point], backend: str) -> list[dict[str, Any]]:
    """The resolved procedure of each point, if all are valid.

    That is: within the array's limits, and of operations that the backend can do. Points that
    differ only in the seed are checked once beyond it. Raises the first error, with the point
    that it is of.
    """
    kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, backend)
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
        raise kind(f"point {point.index} ({point.words}): {exc}") from None
    found: dict[str, Any] = json.loads(json.dumps(procedure.resolved))
    return found


def _refuse_unsupported(procedure: Procedure, backend: BackendKind[Any]) -> None:
    """What the backend refuses; of a bench that allows no dry run, each run finds it out."""
    if backend.touches_hardware and backend.dry_run is None:
        return
    opener = backend.dry_run or backend.open
    rng = np.random.default_rng(procedure.seed)
    request = OpenRequest(
        procedure.array, None, rng, seed=procedure.seed, procedure=procedure.resolved
    )
    with opener(procedure.backend_settings(backend), request) as opened:
        refuse_unsupported(procedure, opened)
