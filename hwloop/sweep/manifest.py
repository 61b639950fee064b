"""Manifest of a sweep, ``sweep.json``: enough to report the sweep and to repeat it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from hwloop.disk import named_errors
from hwloop.errors import ConfigError, RecordError
from hwloop.settings.model import Settings
from hwloop.sweep.point import Ended
from hwloop.sweep.runner import Prepared, SweepOptions
from hwloop.sweep.sweep_file import ChosenFigure, SweepFile

MANIFEST = "sweep.json"


class Manifest(Settings):
    """Description of a sweep as it was started, and the points that failed.

    ``over``, ``overrides``: as on the command line. ``points``: content name of each point.

    ``procedure`` and ``folder``: paths as they were given. ``failed``: content → its error.
    ``name``, ``figure``: of the file that describes the sweep, and the figure that it chooses.
    """

    format: Literal["hwloop sweep"] = "hwloop sweep"
    format_version: Literal[1] = 1
    hwloop_version: str
    procedure: str
    procedure_sha256: str
    folder: str
    backend: str
    population: int | None
    over: tuple[str, ...]
    overrides: tuple[str, ...]
    points: tuple[str, ...]
    failed: dict[str, str]
    name: str = ""
    figure: ChosenFigure | None = None

    @property
    def command(self) -> str:
        """Command line that repeats the sweep, for a POSIX shell."""
        arguments = ["hwloop", "sweep", self.procedure]
        for option, values in (("--over", self.over), ("--set", self.overrides)):
            arguments += [one for value in values for one in (option, value)]
        arguments += ["--backend", self.backend]
        if self.population is not None:
            arguments += ["--population", str(self.population)]
        return shlex.join([*arguments, "-o", self.folder])


def manifest_of(
    options: SweepOptions,
    prepared: Prepared,
    over: Iterable[str],
    overrides: Iterable[str],
    described: SweepFile | None = None,
) -> Manifest:
    """Return the manifest of a sweep before it runs: no point has failed.

    ``described``: the file that the sweep was read from.
    """
    return Manifest(
        hwloop_version=version("hwloop"),
        procedure=options.procedure.as_posix(),
        procedure_sha256=hashlib.sha256(options.procedure.read_bytes()).hexdigest(),
        folder=options.folder.as_posix(),
        backend=options.backend,
        population=options.population,
        over=tuple(over),
        overrides=tuple(overrides),
        points=prepared.names,
        failed={},
        name="" if described is None else described.name,
        figure=None if described is None else described.labelled_figure,
    )


def with_failures(manifest: Manifest, ended: Iterable[Ended]) -> Manifest:
    """Return the manifest with the errors of the points that did not complete."""
    failed = {
        manifest.points[one.index]: one.error or one.status
        for one in ended
        if one.status != "completed"
    }
    return manifest.model_copy(update={"failed": failed})


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Put it in place at once: a reader finds the former one or this one, whole.

    Raises :class:`RecordError` where another file has that name, or it cannot be written.
    """
    path = folder / MANIFEST
    if path.exists():
        read_manifest(folder)
    scratch = path.with_suffix(".json.part")
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    with named_errors(path):
        try:
            scratch.write_text(text + "\n", encoding="utf-8")
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in ``folder``; raises :class:`RecordError` where there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        raise RecordError(
            f"{folder}: is no folder of a sweep: there is no {MANIFEST} in it, which `hwloop sweep`"
            " writes"
        )
    try:
        return Manifest.parse(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError, ConfigError) as exc:
        raise RecordError(f"{path}: does not describe a sweep: {exc}") from None
