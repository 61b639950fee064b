"""Run a procedure: open, guard, record, step by step, and always make safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Event
from hwloop.backend.kind import LifeKind
from hwloop.backend.origin import Origin
from hwloop.backend.registered import backend_kind
from hwloop.errors import ConfigError
from hwloop.execution.execute import execute, request_for
from hwloop.execution.observer import Observer, Quiet
from hwloop.execution.open_run import OpenRun, RunResult
from hwloop.execution.preview import refuse_beyond_limits, refuse_unsupported
from hwloop.execution.stopping import StopRequest, stop_on_signal
from hwloop.procedure.procedure import Procedure
from hwloop.record.header import RunHeader
from hwloop.record.life import NO_NAME, ArrayLife, beginning_of, life_path
from hwloop.record.writer import RecordSink, RecordWriter


@dataclass(frozen=True)
class RunOptions:
    """Options of a run: the backend, how many arrays, the seed, and the file of the record.

    ``life_folder``: where the ledger of the array's life is; None: beside the record.
    """

    backend: str
    path: Path
    population: int | None = None
    seed: int | None = None
    life_folder: Path | None = None


def record_folder(out: Path) -> Path:
    """Return the folder of a record: that of ``out`` if it names an HDF5 file, else ``out``."""
    return out.parent if out.suffix in {".h5", ".hdf5"} else out


def record_path(out: Path, procedure: Procedure, seed: int) -> Path:
    """Return the file of a record: ``out`` if it names an HDF5 file, else a new file in it."""
    if record_folder(out) != out:
        return out
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"{procedure.name}-{stamp}-seed{seed}"
    candidates = (out / f"{stem}{suffix}.h5" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for path in candidates if not path.exists())


def run_procedure(
    procedure: Procedure,
    options: RunOptions,
    observer: Observer | None = None,
    *,
    sink: Callable[[Path, RunHeader], RecordSink] = RecordWriter,
    stop: StopRequest | None = None,
) -> RunResult:
    """Run every step of a procedure on a backend, and record it.

    What the steps plan is checked against the limits, and against the station of a bench, before
    the backend is opened, and what they import is loaded; then they are checked against the
    backend before the record is begun. However the run
    ends, the backend is made safe and the record closed. Errors of the backend, the guard and the
    steps are logged in the record and raised again. ``sink`` begins what takes the record.
    ``stop``: of a caller that turns signals into it; None: they are during the run alone.
    """
    with open_run(procedure, options, observer, sink=sink, stop=stop) as run:
        execute(procedure, run.array, run)
    return run.result


@contextmanager
def open_run(
    procedure: Procedure,
    options: RunOptions,
    observer: Observer | None = None,
    *,
    sink: Callable[[Path, RunHeader], RecordSink] = RecordWriter,
    stop: StopRequest | None = None,
) -> Iterator[OpenRun]:
    """Open a backend and a record as :func:`run_procedure` does, and let the block do the steps.

    However the block ends, the backend is made safe and the record closed. A stop ends the block
    without an error; :attr:`OpenRun.result` tells of it.
    """
    seed = procedure.seed if options.seed is None else options.seed
    kind = backend_kind(options.backend)
    request, step_rng = request_for(
        procedure, seed=seed, population=options.population, record=options.path
    )
    settings = procedure.backend_settings(kind)
    refuse_beyond_limits(procedure)
    for prepared in procedure.steps:
        prepared.step.load_libraries()
    if kind.touches_hardware and kind.has_dry_run:
        with kind.open_dry(settings, request) as dry:
            refuse_unsupported(procedure, dry)
    # Before anything is switched on: a signal while the bench is brought up is one to stop, too.
    with stop_on_signal() if stop is None else nullcontext(stop) as stop:
        wears, origin = kind.life_of(settings), kind.origin_of(settings)
        # Locked before anything is switched on: another run may have the array.
        with _open_life(procedure.array, wears, options) as life:
            about_life = _about_life(life, wears, procedure.array, options, origin)
            inner = kind.open(settings, request)
            try:
                refuse_unsupported(procedure, inner)
                header = RunHeader(
                    options.path.stem,
                    procedure,
                    seed,
                    options.population,
                    inner.description,
                    origin,
                )
                writer = sink(options.path, header)
            except BaseException:
                inner.close()
                raise
            run = OpenRun(
                procedure,
                inner,
                writer,
                step_rng,
                observer or Quiet(),
                stop,
                life,
                about_life,
                origin,
            )
            with run.in_order():
                yield run


@contextmanager
def _open_life(
    array: ArraySettings, kind: LifeKind | None, options: RunOptions
) -> Iterator[ArrayLife | None]:
    """Hold the ledger of the array's life; None where it has no life, or no name."""
    if kind is None or array.name is None:
        yield None
        return
    if array.outer_shape(options.population):
        raise ConfigError(
            f"array.name {array.name!r} is of one array: leave the population out, tiles at 1"
        )
    folder = options.life_folder or options.path.parent
    life = ArrayLife(life_path(folder, array.name, kind), options.path.stem, array)
    try:
        yield life
    finally:
        life.close()


def _about_life(
    life: ArrayLife | None,
    kind: LifeKind | None,
    array: ArraySettings,
    options: RunOptions,
    origin: Origin,
) -> Event | None:
    """Return what to say of the array's life: that no ledger counts it, or that one begins."""
    if kind is None:
        return None
    if life is None or array.name is None:
        return Event("warning", NO_NAME)
    if not life.begins:
        return None
    return beginning_of(life.path, array.name, backend=options.backend, origin=origin)
