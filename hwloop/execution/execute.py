"""Run every step of a procedure on an array: the loop that a run and a forecast share."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import PreparedStep, Procedure
from hwloop.steps.array import Array
from hwloop.steps.rows import Row, Yield
from hwloop.types import FloatArray


class Follower:
    """Receiver of everything that a procedure measures and yields; it keeps nothing by itself."""

    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        """Take the conductance of every cell, (..., rows, cols), siemens; NaN where unmeasured.

        ``name``: ``"initial_conductance_s"`` before the first step, ``"final_conductance_s"``
        after the last one.
        """

    def step_began(self, prepared: PreparedStep) -> None:
        """Take note that a step begins."""

    def take(self, label: str, item: Yield) -> None:
        """Take a row or the outcome that the step ``label`` has yielded.

        An exception raised here ends the procedure after the step has been closed.
        """

    def step_ended(self, label: str) -> None:
        """Take note that the step ``label`` has yielded its last item."""


def request_for(
    procedure: Procedure, *, seed: int, population: int | None = None, record: Path | None = None
) -> tuple[OpenRequest, np.random.Generator]:
    """Return the request to open a backend with, and the random generator of the steps.

    Both are spawned from ``seed`` in this order, in every run, forecast and preview: one seed
    gives one array and one sequence of draws.
    """
    backend_rng, step_rng = np.random.default_rng(seed).spawn(2)
    request = OpenRequest(
        procedure.array,
        population,
        backend_rng,
        seed=seed,
        procedure=procedure.resolved,
        record=record,
    )
    return request, step_rng


def execute(procedure: Procedure, array: Array, follower: Follower) -> None:
    """Read every cell, run each step, and read every cell again.

    The array remembers each row for later steps. However a step ends, its generator is closed
    here, so that its clean-up runs while the backend is open.
    """
    follower.conductance("initial_conductance_s", array.conductance_s(array.read_all()))
    for prepared in procedure.steps:
        _run_step(prepared, array, follower)
    follower.conductance("final_conductance_s", array.conductance_s(array.read_all()))


def _run_step(prepared: PreparedStep, array: Array, follower: Follower) -> None:
    follower.step_began(prepared)
    items = prepared.step(prepared.settings, replace(array, label=prepared.label))
    try:
        for item in items:
            if isinstance(item, Row):
                array.remember(prepared.label, item)
            follower.take(prepared.label, item)
    finally:
        if isinstance(items, Generator):
            items.close()
    follower.step_ended(prepared.label)
