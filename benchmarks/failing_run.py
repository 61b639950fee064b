"""Run a procedure whose step raises an exception after some rows, as a bug in a step would."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import typer

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import PreparedStep, load_procedure
from hwloop.settings.model import Settings
from hwloop.steps.array import Array
from hwloop.steps.rows import Yield


class BugInStep(Exception):
    """What a step should never raise."""


def main(procedure: Path, station: Path, out: Path, rows: int = 2, updates: int = 4) -> None:
    """Run on the bench of ``station``; the first step fails after ``rows`` rows."""
    loaded = load_procedure(
        procedure,
        [
            f"backends.bench.station={station.resolve().as_posix()}",
            f"steps.0.settings.max_updates={updates}",
        ],
    )
    failing = dataclasses.replace(
        loaded, steps=(_failing(loaded.steps[0], rows), *loaded.steps[1:])
    )
    run_procedure(failing, RunOptions("bench", out))


def _failing(prepared: PreparedStep, rows: int) -> PreparedStep:
    step = prepared.step

    def run(settings: Settings, array: Array) -> Iterator[Yield]:
        for n, item in enumerate(step(settings, array)):
            if n == rows:
                raise BugInStep(f"after {rows} rows")
            yield item

    return dataclasses.replace(prepared, step=dataclasses.replace(step, run=run))


if __name__ == "__main__":
    typer.run(main)
