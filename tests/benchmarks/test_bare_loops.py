"""The bare loops that prices are measured against compute the physics that hwloop does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import bare_numpy, programming
from benchmarks.plain_loop import GAIN
from benchmarks.timing import Medians, medians_in_turns
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data, load_procedure
from hwloop.record import Record

PROCEDURE = Path(__file__).parents[2] / "procedures" / "manhattan_4x4.yaml"


def test_works_whose_times_are_compared_take_turns_and_what_they_leave_is_cleared() -> None:
    done: list[str] = []
    works = (lambda: done.append("a"), lambda: done.append("b"))
    medians = medians_in_turns(works, 2, clear=lambda: done.append("cleared"))
    assert done == ["a", "cleared", "b", "cleared"] * 3
    assert len(medians) == 2


def test_times_of_a_work_beside_another_are_ratios_of_wall_and_of_processor_time() -> None:
    text = Medians(6.0, 2.0, 5.0).beside(Medians(3.0, 0.5, 2.0))
    assert text.split() == ["2.00", "×", "(4.00", "×", "of", "processor", "time)"]


def test_bare_training_ends_as_the_population_of_hwloop_that_began_alike(tmp_path: Path) -> None:
    procedure = load_procedure(PROCEDURE)
    run_procedure(procedure, RunOptions("sim", tmp_path / "a.h5", population=100))
    with Record(tmp_path / "a.h5") as record:
        begin_conductance_s = record.array("initial_conductance_s")
        label = record.labels[0]
        (converged,) = record.results(label, "summary")["converged"]
    assert begin_conductance_s is not None
    device = procedure.resolved["backends"]["sim"]["device"]
    table_conductance_s = np.array(device["calibration"]["conductance_s"])
    bare = bare_numpy.train_all(table_conductance_s, begin_conductance_s / GAIN)
    assert 0 < converged.sum() < 100
    assert np.array_equal(bare, converged)


def test_bare_programming_needs_the_pulses_that_hwloop_needs(tmp_path: Path) -> None:
    loaded = from_data(programming.procedure(), folder=Path())
    run_procedure(loaded, RunOptions("sim", tmp_path / "a.h5"))
    with Record(tmp_path / "a.h5") as record:
        pulses = int(record.pulses_given().sum())
    # Of 16,384 cells with some 13 pulses each, drawn anew: the scatter is below 1 %.
    assert programming.bare_numpy() == pytest.approx(pulses, rel=0.02)
