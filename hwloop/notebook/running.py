"""Load and run procedures from Python as the command line does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.backend.registered import backend_for
from hwloop.execution.open_run import RunResult
from hwloop.execution.runner import RunOptions, record_path, run_procedure
from hwloop.notebook.record import NotebookRecord
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.procedure.sections import file_override
from hwloop.steps.rows import Outcome


@dataclass(frozen=True)
class Run:
    """A run that has ended: its record, and how each step ended."""

    result: RunResult

    @property
    def path(self) -> Path:
        """Return the file of the record."""
        return self.result.path

    @property
    def status(self) -> str:
        """Status of the run, "completed" or "stopped"; one that failed raises instead."""
        return self.result.status

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each step, by its label."""
        return self.result.outcomes

    @property
    def record(self) -> NotebookRecord:
        """Return the record, opened for reading."""
        return NotebookRecord(self.path)

    def __repr__(self) -> str:
        told = "; ".join(f"{label}: {one.message}" for label, one in self.outcomes.items())
        return f"<Run {self.status}, {self.result.origin}: {told}; {self.path}>"


def load(procedure: str | Path, /, **overrides: object) -> Procedure:
    """Read and validate a procedure file.

    ``overrides``: settings by their path, as ``--set`` takes them: ``load("train.yaml", seed=3,
    **{"steps.train_manhattan.settings.beta_per_a": 6e6})``; a text may have a unit. Raises
    :class:`hwloop.errors.ConfigError` with file, key and value.
    """
    return load_procedure(Path(procedure), _as_text(overrides))


def run(
    procedure: str | Path | Procedure,
    *,
    backend: str | None = None,
    station: str | Path | None = None,
    recording: str | Path | None = None,
    out: str | Path = "runs",
    population: int | None = None,
    seed: int | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Run:
    """Run a procedure, record it, and return how it ended.

    ``backend``: "sim", "bench" or "replay"; left out, that of the file given, else the emulator.
    ``station``: file of a bench; ``recording``: record that a replay answers from. ``out``: folder
    of the record, or its file. ``overrides``: as of :func:`load`, for a procedure file. Whatever
    happens, the array is made safe; errors are those of :mod:`hwloop.errors`.
    """
    chosen, loaded = chosen_procedure(
        procedure, backend=backend, station=station, recording=recording, overrides=overrides
    )
    path = record_path(Path(out), loaded, loaded.seed if seed is None else seed)
    options = RunOptions(chosen, path, population=population, seed=seed)
    return Run(run_procedure(loaded, options))


def chosen_procedure(
    procedure: str | Path | Procedure,
    *,
    backend: str | None,
    station: str | Path | None,
    recording: str | Path | None,
    overrides: Mapping[str, object] | None,
) -> tuple[str, Procedure]:
    """Return the backend by its name, and the procedure with the files that it needs.

    A procedure that is loaded already has its own files: then none may be given.
    """
    files = {"station": _path(station), "recording": _path(recording)}
    chosen = backend_for(backend, files)
    if isinstance(procedure, Procedure):
        given = [name for name, value in (*files.items(), ("overrides", overrides)) if value]
        if given:
            raise TypeError(f"{given[0]}: give the file of the procedure, not a loaded one")
        return chosen, procedure
    source = [file_override(key, file, chosen) for key, file in files.items() if file]
    return chosen, load_procedure(Path(procedure), [*_as_text(overrides or {}), *source])


def _as_text(overrides: Mapping[str, object]) -> list[str]:
    """Return overrides as the command line takes them: JSON is YAML, too."""
    return [f"{key}={_yaml(value)}" for key, value in overrides.items()]


def _yaml(value: object) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> object:
    """Return what JSON has of a path, or of numbers of NumPy."""
    return str(value) if isinstance(value, Path) else value.tolist()


def _path(file: str | Path | None) -> Path | None:
    return None if file is None else Path(file)
