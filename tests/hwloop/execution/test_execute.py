"""The loop that runs and forecasts share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.execution.execute import Follower, execute, request_for
from hwloop.procedure.procedure import PreparedStep, Procedure
from hwloop.settings.model import Settings
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray
from tests.hwloop.spy import SpyBackend, array_settings


@dataclass(frozen=True, eq=False)
class NumberRow(Row):
    """A row with a number."""

    number: int = column("1", "a number")


class Notes(Follower):
    """Everything that happened, in order; raises ``error`` when the row ``number`` arrives."""

    def __init__(self, number: int = -1, error: BaseException | None = None) -> None:
        self.seen: list[str] = []
        self._number, self._error = number, error

    @override
    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        self.seen.append(f"{name} {conductance_s.max():g}")

    @override
    def step_began(self, prepared: PreparedStep) -> None:
        self.seen.append(f"{prepared.label} began")

    @override
    def take(self, label: str, item: Yield) -> None:
        if isinstance(item, Outcome):
            self.seen.append(f"{label}: {item.message}")
            return
        number = item.columns()["number"]
        self.seen.append(f"{label}: row {number}")
        if number == self._number and self._error is not None:
            raise self._error

    @override
    def step_ended(self, label: str) -> None:
        self.seen.append(f"{label} ended")


def _procedure(notes: Notes, *labels: str) -> Procedure:
    """Steps of two rows each, which pulse every cell once and note when their generators close."""

    def run(_settings: Settings, array: Array) -> Iterator[Yield]:
        try:
            notes.seen.append(f"remembered: {sorted(array.earlier)}")
            mask = np.ones(array.geometry.shape)
            array.backend.pulse(PulseMap(mask, 1e-3))
            yield NumberRow(0)
            yield NumberRow(1)
            yield Outcome(True, "done")
        finally:
            notes.seen.append("closed")

    def plan(_settings: Settings, _array: ArraySettings) -> Plan:
        return Plan([], rows=2)

    step: Step[Any] = Step("count", "Count", Settings, run, plan)
    prepared = (PreparedStep(label, step, Settings(), Plan([], rows=2)) for label in labels)
    return Procedure("probe", "", 1, array_settings(), {}, tuple(prepared), "text", ())


def _array() -> Array:
    return Array(SpyBackend(), array_settings(), np.random.default_rng(0))


def test_steps_run_in_order_between_two_readings_of_the_whole_array() -> None:
    notes = Notes()
    execute(_procedure(notes, "one", "two"), _array(), notes)
    # A spy cell has 1 µS, and 1 µS more after each pulse.
    assert notes.seen == [
        "initial_conductance_s 1e-06",
        "one began",
        "remembered: []",
        "one: row 0",
        "one: row 1",
        "one: done",
        "closed",
        "one ended",
        "two began",
        "remembered: ['one']",
        "two: row 0",
        "two: row 1",
        "two: done",
        "closed",
        "two ended",
        "final_conductance_s 3e-06",
    ]


def test_a_follower_that_raises_ends_the_procedure_after_the_step_was_closed() -> None:
    notes = Notes(0, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        execute(_procedure(notes, "one", "two"), _array(), notes)
    assert notes.seen[-2:] == ["one: row 0", "closed"]


def test_one_seed_gives_the_draws_of_backend_and_steps_and_another_seed_others() -> None:
    procedure = _procedure(Notes(), "one")
    draws = []
    for seed in (7, 7, 8):
        request, step_rng = request_for(procedure, seed=seed)
        assert (request.seed, request.population, request.record) == (seed, None, None)
        draws.append((float(request.rng.random()), float(step_rng.random())))
    # numpy.random.default_rng(7).spawn(2), in this order.
    backend_rng, step_rng = np.random.default_rng(7).spawn(2)
    assert draws[0] == draws[1] == (backend_rng.random(), step_rng.random())
    assert set(draws[2]).isdisjoint(draws[0])
