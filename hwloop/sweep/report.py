"""Write one self-contained HTML page about a sweep from the files in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hwloop.errors import ConfigError, RecordError
from hwloop.plotting.style import save_figures
from hwloop.report.write import refuse_existing, scratch_for, target_of
from hwloop.sweep.figures import draw
from hwloop.sweep.grid import Point, points
from hwloop.sweep.manifest import MANIFEST, Manifest, read_manifest
from hwloop.sweep.page import Sweep, page
from hwloop.sweep.point import UNFINISHED, Ended, finished
from hwloop.sweep.table import origins, result

REPORT = "sweep-report.html"


def write_sweep_report(folder: Path, out: Path | None, *, overwrite: bool = False) -> Path:
    """Write the page, by default ``<folder>/sweep-report.html``, and say where it is.

    ``out``: the page, or an existing folder to put it in. The page needs no network; its links
    lead to the records as seen from it. Raises :class:`RecordError` where ``folder`` holds no
    sweep or none of its points finished, and where the output exists or cannot be written.
    """
    target = target_of(folder / REPORT, out)
    manifest = read_manifest(folder)
    if not overwrite:
        refuse_existing(target)
    write_page(read_sweep(folder, manifest), target)
    return target


def write_page(sweep: Sweep, target: Path) -> None:
    """Write the page of a sweep, some of whose points have finished; replaces what is there.

    Raises :class:`RecordError` where it cannot be written, and leaves the former one.
    """
    with scratch_for(target) as scratch:
        drawn = draw(sweep.finished, sweep.manifest.figure, name=sweep.manifest.name)
        figures = save_figures(drawn, scratch, origin=origins(sweep.finished))
        written = scratch / target.name
        written.write_text(page(sweep, figures, target), encoding="utf-8")
        written.replace(target)


def read_sweep(folder: Path, manifest: Manifest) -> Sweep:
    """Read every point of a sweep with its result, also of an interrupted sweep.

    Raises :class:`RecordError` where no point has finished, or the points are not as listed.
    """
    try:
        all_points = points(manifest.over, manifest.overrides)
    except ConfigError as exc:
        raise RecordError(f"{folder / MANIFEST}: does not describe a sweep: {exc}") from None
    if len(all_points) != len(manifest.points):
        raise RecordError(
            f"{folder / MANIFEST}: lists {len(manifest.points)} points, but its settings give"
            f" {len(all_points)}"
        )
    there = finished(folder)
    ended = [_ended(folder, manifest, point, there) for point in all_points]
    if not any(one.status == "completed" for one in ended):
        failed = next((one for one in ended if one.error), None)
        why = f"; {all_points[failed.index].summary}: {failed.error}" if failed else ""
        raise RecordError(f"{folder}: none of the {len(ended)} points has finished{why}")
    results = (result(point, one) for point, one in zip(all_points, ended, strict=True))
    return Sweep(folder, manifest, tuple(results))


def _ended(folder: Path, manifest: Manifest, point: Point, there: Mapping[str, Path]) -> Ended:
    name = manifest.points[point.index]
    if name in there:
        return Ended(point.index, str(there[name]), "completed", "", float("nan"))
    record = str(folder / UNFINISHED / f"{name}.h5")
    error = manifest.failed.get(name, "")
    return Ended(point.index, record, "failed" if error else "not finished", error, float("nan"))
