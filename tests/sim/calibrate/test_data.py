"""Trains out of a history: where one ends, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop_sim.calibrate.data import load_trains, trains_of_cell
from hwloop_sim.calibrate.history import Drive, History, Look
from tests.sim.calibrate.characterised_truth import characterise
from tests.sim.calibrate.truths import trains, truth_of

DEVICE = {"model": "linear_ion_drift", **truth_of("linear_ion_drift", 2).parameters}


def _look(conductance_s: float) -> Look:
    return Look(0.1, True, np.array([0.1 * conductance_s]))


def _pulse(volts: float) -> Drive:
    return Drive(np.array([volts]), 1e-3)


def test_a_read_without_a_pulse_before_it_ends_a_train_and_begins_the_next() -> None:
    up = [_look(1), _pulse(1.0), _look(2), _pulse(1.0), _look(3)]
    down = [_look(3.1), _pulse(-1.0), _look(2), _pulse(-1.0), _look(1)]
    found = list(trains_of_cell(History("a.h5", ["cell (0, 0)"], [*up, *down])))
    assert [pulse for pulse, _ in found] == [(1.0, 1e-3), (-1.0, 1e-3)]
    np.testing.assert_allclose(found[0][1], [1, 2, 3])
    np.testing.assert_allclose(found[1][1], [3.1, 2, 1])


def test_every_train_of_a_characterised_cell_is_found(tmp_path: Path) -> None:
    settings = trains([1.0], [-1.0], cycles=3)
    path = characterise(tmp_path / "run.h5", DEVICE, [settings], seed=1, population=None)
    data = load_trains([path], cell=0)
    pulses = settings["settings"]["pulses"]
    assert [len(one.trains) for one in data.directions] == [3, 3]
    assert {len(train) for one in data.directions for train in one.trains} == {pulses + 1}


def test_a_record_without_trains_is_refused_with_its_name(tmp_path: Path) -> None:
    several = trains([1.0], [-1.0])
    several["settings"]["pulses"] = 1
    several["settings"]["cycles"] = 5
    path = characterise(tmp_path / "run.h5", DEVICE, [several], seed=1, population=None)
    with pytest.raises(ConfigError, match=r"run\.h5: has no train in it: no cell was read after"):
        load_trains([path], cell=0)
