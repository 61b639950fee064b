"""Trains out of a history: where one ends, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError, RecordError
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus
from hwloop_sim.calibrate.run import calibrate
from hwloop_sim.calibrate.trains.data import (
    Direction,
    TrainData,
    check_one_way,
    load_trains,
    trains_of_cell,
)
from tests.sim.calibrate.characterised_truth import characterise
from tests.sim.calibrate.truths import WIDTH_S, trains

DEVICE = {
    "model": "soft_bounds",
    "up": {"amplitude_v": 1.0, "width_s": WIDTH_S},
    "down": {"amplitude_v": -1.0, "width_s": WIDTH_S},
}


def _read(conductance_s: float) -> Read:
    return Read(0.1, True, np.array([0.1 * conductance_s]))


def _pulse(volts: float) -> Stimulus:
    return Stimulus(np.array([volts]), 1e-3)


def test_a_read_without_a_pulse_before_it_ends_a_train_and_begins_the_next() -> None:
    up = [_read(1), _pulse(1.0), _read(2), _pulse(1.0), _read(3)]
    down = [_read(3.1), _pulse(-1.0), _read(2), _pulse(-1.0), _read(1)]
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


def _dataset(
    path: Path, trains_conductance_s: Sequence[np.ndarray], volts: float | Sequence[float] = 1.0
) -> Path:
    sizes = [len(one) for one in trains_conductance_s]
    columns = {
        "cell": np.zeros(sum(sizes)),
        "train": np.repeat(np.arange(len(sizes)), sizes),
        "pulse": np.concatenate([np.arange(size) for size in sizes]),
        "amplitude_v": np.repeat(np.broadcast_to(volts, len(sizes)), sizes),
        "width_s": np.full(sum(sizes), 1e-3),
        "conductance_s": np.concatenate(trains_conductance_s),
    }
    write_measurement(Measurement(kind="trains", title="t", source="s", columns=columns), path)
    return path


def _noisy(
    path_conductance_s: np.ndarray, *, count: int = 6, noise: float = 0.01
) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [
        path_conductance_s * (1 + noise * rng.normal(size=path_conductance_s.size))
        for _ in range(count)
    ]


RISING = 2e-6 + 8e-6 * (1 - np.exp(-np.arange(21) / 8))


def test_trains_of_three_values_have_a_direction(tmp_path: Path) -> None:
    up, down = np.array([1e-6, 2e-6, 3e-6]), np.array([3e-6, 2e-6, 1e-6])
    path = _dataset(tmp_path / "a.h5", [up, down, up, down], [1.0, -1.0, 1.0, -1.0])
    assert [one.rises for one in load_trains([path], cell=None).directions] == [True, False]


@pytest.mark.parametrize(
    ("trains_conductance_s", "volts", "words"),
    [
        (_noisy(1e6 * RISING), 1.0, r"a\.h5: its conductances are about .* S: are they in siemens"),
        ([np.full(9, 5e-6)] * 4, 1.0, r"a\.h5: 4 trains of 1 V, 1 ms stay at 5e-06 S"),
        (_noisy(RISING), 0.0, r"a\.h5: 6 trains of 0 V, 1 ms: that is no pulse"),
    ],
)
def test_trains_that_determine_nothing_are_refused(
    trains_conductance_s: list[np.ndarray], volts: float, words: str, tmp_path: Path
) -> None:
    path = _dataset(tmp_path / "a.h5", trains_conductance_s, volts)
    with pytest.raises(ConfigError, match=words):
        load_trains([path], cell=None)


HUMP = 2e-6 + 8e-6 * np.sin(np.arange(21) / 21 * np.pi * 0.8)


@pytest.mark.parametrize("model", ["soft_bounds", "step_response"])
def test_trains_that_turn_are_refused_by_models_that_go_one_way(model: str, tmp_path: Path) -> None:
    up, down = _noisy(HUMP), _noisy(RISING[::-1])
    path = _dataset(tmp_path / "a.h5", [*up, *down], [1.0] * 6 + [-1.0] * 6)
    words = r"a\.h5: 6 trains of 1 V turn: their mean goes back by 3\d% of its range from pulse 13"
    with pytest.raises(ConfigError, match=words):
        calibrate([path], model=model)


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_no_turn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trains_conductance_s = [RISING + 2e-6 * rng.normal(size=21) for _ in range(4)]
    check_one_way(TrainData([Direction(1.0, 1e-3, trains_conductance_s, rises=True)]), "m", "a.h5")


def test_a_damaged_record_is_told_from_a_file_of_another_kind(tmp_path: Path) -> None:
    whole = characterise(
        tmp_path / "run.h5", DEVICE, [trains([1.0], [-1.0])], seed=1, population=None
    )
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:40000])
    text = tmp_path / "text.h5"
    text.write_text("no HDF5", encoding="utf-8")
    for model in ("soft_bounds", "linear_ion_drift"):
        with pytest.raises(RecordError, match=r"cut\.h5: cannot be read as HDF5: .*truncated"):
            calibrate([cut], model=model)
        with pytest.raises(ConfigError, match=r"text\.h5: has nothing measured in it"):
            calibrate([text], model=model)


def test_files_that_are_none_or_come_twice_are_refused(tmp_path: Path) -> None:
    path = _dataset(tmp_path / "a.h5", _noisy(RISING))
    for paths, words in (
        ([path, tmp_path / "a.h5"], r"a\.h5: is named twice"),
        ([tmp_path], "is a folder; name a file in it"),
        ([tmp_path / "b.h5"], r"b\.h5: there is no such file"),
    ):
        with pytest.raises(ConfigError, match=words):
            calibrate(paths, model="pulse_table")


@pytest.mark.parametrize("name", ["amplitude_v", "width_s"])
def test_a_train_of_pulses_that_grow_is_no_train_of_equal_pulses(tmp_path: Path, name: str) -> None:
    columns = {
        "cell": np.zeros(6),
        "train": np.repeat([0.0, 1.0], 3),
        "pulse": np.tile([0.0, 1.0, 2.0], 2),
        "amplitude_v": np.ones(6),
        "width_s": np.full(6, 1e-3),
        "conductance_s": np.tile([1e-6, 2e-6, 3e-6], 2),
    }
    columns[name] = columns[name] * np.array([1, 1, 1, 1, 1, 2])
    path = tmp_path / "grown.h5"
    write_measurement(Measurement(kind="trains", title="t", source="s", columns=columns), path)
    with pytest.raises(ConfigError, match="train 1 has pulses of several amplitudes or widths"):
        load_trains([path], cell=None)
