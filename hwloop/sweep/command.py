"""Implement ``hwloop sweep``: one procedure over many settings and seeds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.disk import named_errors
from hwloop.errors import ConfigError, NotConverged
from hwloop.terminal import outlive_terminal, say

if TYPE_CHECKING:
    from hwloop.sweep.grid import Point
    from hwloop.sweep.manifest import Manifest
    from hwloop.sweep.point import Ended
    from hwloop.sweep.table import Result

_SHOWN = 20


def sweep(
    procedure: Annotated[
        Path, typer.Argument(help="The procedure, or a sweep that names it; a YAML file.")
    ],
    *,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,…",
            help="A setting and its values, or FIRST:END; several make every combination.",
        ),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="What stands for the array; the emulator if left out.")
    ] = None,
    population: Annotated[
        int | None, typer.Option(min=1, help="Emulate this many arrays at every point.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of every point."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of this machine; one a core if left out.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="An existing Dask cluster, tcp://host:port.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the records.")] = Path(
        "sweep"
    ),
    report: Annotated[
        bool, typer.Option("--report", help="Write the HTML report as well, or anew.")
    ] = False,
) -> None:
    """Run every point, each with its record; then a table and figures. Resumes where it ended."""
    from hwloop.backend.registered import emulator
    from hwloop.settings.foreign_hdf5 import walk
    from hwloop.sweep.manifest import manifest_of, with_failures, write_manifest
    from hwloop.sweep.page import Sweep
    from hwloop.sweep.report import REPORT, write_page
    from hwloop.sweep.runner import SweepOptions, prepare, run_tasks
    from hwloop.sweep.sweep_file import read_sweep_file
    from hwloop.sweep.table import result, write_csv

    outlive_terminal()
    chosen = backend or emulator().name
    described = read_sweep_file(procedure)
    swept, settings = list(over or ()), list(overrides or ())
    if described is not None:
        procedure = described.procedure
        swept, settings = [*described.axes, *swept], [*described.overrides, *settings]
    options = SweepOptions(procedure, out, chosen, population, workers, scheduler)
    prepared = prepare(options, swept, settings)
    with named_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    manifest = manifest_of(options, prepared, swept, settings, described)
    write_manifest(manifest, out)
    total = len(prepared.points)
    if prepared.done:
        say(f"{len(prepared.done)} of {total} points stand in {out} already")
    ended = {one.index: one for one in prepared.done}
    look = _LookAtFirst(manifest, prepared.points)
    for one in prepared.done:
        look.at(one)
    began_s = time.monotonic()
    try:
        for number, one in enumerate(run_tasks(prepared.tasks, options), 1):
            ended[one.index] = one
            look.at(one)
            _progress(number, len(prepared.tasks), began_s)
    finally:  # what failed before it was interrupted
        write_manifest(with_failures(manifest, ended.values()), out)
    walk([Path(one.record) for one in ended.values() if one.status == "completed"])
    results = [result(point, ended[point.index]) for point in prepared.points]
    write_csv(results, out / "sweep.csv")
    _print(results)
    say(f"table: {out / 'sweep.csv'}")
    _figures(results, out, manifest)
    failed = [one for one in results if one.ended.status != "completed"]
    if report and len(failed) < total:
        write_page(Sweep(out, manifest, tuple(results)), out / REPORT)
        say(f"report: {out / REPORT}")
    if failed:
        first = failed[0]
        raise NotConverged(
            f"{len(failed)} of {total} points failed, the first {first.point.summary}:"
            f" {first.message}"
        )


class _LookAtFirst:
    """A look at the first completed point, whether it has what the chosen figure shows."""

    def __init__(self, manifest: Manifest, points: Sequence[Point]) -> None:
        self._figure, self._points = manifest.figure, {point.index: point for point in points}

    def at(self, ended: Ended) -> None:
        """Look at a point; raises :class:`ConfigError` with the results that there are."""
        from hwloop.sweep.table import result

        if self._figure is None or ended.status != "completed":
            return
        found = result(self._points[ended.index], ended).figures
        if self._figure.y not in found:
            raise ConfigError(
                f"{self._figure.y} is no result of a point; there are {', '.join(found)}",
                key="figure.y",
            )
        self._figure = None


def _progress(number: int, total: int, began_s: float) -> None:
    if sys.stderr.isatty():
        left_s = (time.monotonic() - began_s) / number * (total - number)
        typer.echo(f"\r{number} of {total} points, about {left_s:.0f} s left  ", err=True, nl=False)
        if number == total:
            typer.echo("", err=True)


def _print(results: Sequence[Result]) -> None:
    for one in results[:_SHOWN]:
        reached = f"reached {one.reached:.3g}" if math.isfinite(one.reached) else one.ended.status
        whose = f" ({one.origin})" if one.origin else ""
        say(f"{one.point.summary}: {reached}{whose}; {one.message}")
    if len(results) > _SHOWN:
        say(f"… and {len(results) - _SHOWN} more in the table")


def _figures(results: Sequence[Result], out: Path, manifest: Manifest) -> None:
    from hwloop.plotting.style import save_figures
    from hwloop.sweep.figures import draw
    from hwloop.sweep.table import origins

    for figure in draw(results, manifest.figure, name=manifest.name):
        with named_errors(out / f"{figure.name}.png"):
            (out / f"{figure.name}.png").unlink(missing_ok=True)
            for saved in save_figures([figure], out, origin=origins(results)):
                say(f"figure: {saved.path}")
