"""Pulse response: it does what the trains did, with their scatter, in both directions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError, Unsupported
from tests.sim.devices.models import DOWN, UP, make, pulses


def measured_conductance_s(path: Path) -> list[np.ndarray]:
    """Trains of a CSV of currents at 0.1 V, one a column, read without the package's reader."""
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    columns = zip(*rows, strict=True)
    return [np.array([float(field) for field in column if field]) / 0.1 for column in columns]


@pytest.fixture
def taox(shared_data: Path) -> dict[str, object]:
    folder = shared_data / "taox_pulses"
    return {
        "up": {"amplitude_v": 1.0, "width_s": 1e-6, "file": str(folder / "set.csv"), "read_v": 0.1},
        "down": {
            "amplitude_v": -1.0,
            "width_s": 1e-6,
            "file": str(folder / "reset.csv"),
            "read_v": 0.1,
        },
    }


def test_one_neighbour_walks_along_a_train_without_scatter() -> None:
    device = make("pulse_response", (2, 2), neighbours=1)
    for expected_conductance_s in (2e-6, 2.8e-6, 3e-6):
        device.pulse(pulses(device, 1.0, 1e-3))
        np.testing.assert_allclose(device.conductance_s, expected_conductance_s, rtol=1e-12)
    device.pulse(pulses(device, -1.0, 1e-3, 3))
    np.testing.assert_allclose(device.conductance_s, 1e-6, rtol=1e-12)


def test_changes_are_drawn_from_the_nearest_pulses_alike() -> None:
    train = [[1e-6, 2e-6], [1e-6, 3e-6], [1e-6, 1.5e-6], [5e-6, 9e-6]]
    device = make(
        "pulse_response", (100, 100), up=UP | {"conductance_s": train}, down=None, neighbours=3
    )
    device.set_conductance(np.full((100, 100), 1e-6))
    device.pulse(pulses(device, 1.0, 1e-3))
    values, counts = np.unique(np.round(device.conductance_s * 1e6, 6), return_counts=True)
    assert values.tolist() == [1.5, 2.0, 3.0]
    # 10,000 draws of a third each: standard error 47.
    assert np.abs(counts - 10000 / 3).max() < 4 * 47


@pytest.mark.parametrize(
    ("direction", "volts", "name"), [("up", 1.0, "set.csv"), ("down", -1.0, "reset.csv")]
)
def test_steps_at_a_state_have_the_measured_mean_and_scatter(
    direction: str, volts: float, name: str, taox: dict[str, object], shared_data: Path
) -> None:
    trains = measured_conductance_s(shared_data / "taox_pulses" / name)
    start_conductance_s = np.concatenate([train[:-1] for train in trains])
    change_conductance_s = np.concatenate([np.diff(train) for train in trains])
    for quantile in (0.2, 0.5, 0.8):
        here_conductance_s = float(np.quantile(start_conductance_s, quantile))
        near = np.argsort(np.abs(start_conductance_s - here_conductance_s))[:100]
        device = make(
            "pulse_response", (100, 100), **taox, neighbours=100, initial=here_conductance_s
        )
        device.pulse(pulses(device, volts, 1e-6))
        step_conductance_s = device.conductance_s - here_conductance_s
        deviation_conductance_s = change_conductance_s[near].std()
        assert step_conductance_s.mean() == pytest.approx(
            change_conductance_s[near].mean(), abs=0.1 * deviation_conductance_s
        )
        assert step_conductance_s.std() == pytest.approx(deviation_conductance_s, rel=0.1)
        assert np.quantile(step_conductance_s, [0.1, 0.9]) == pytest.approx(
            np.quantile(change_conductance_s[near], [0.1, 0.9]), abs=0.2 * deviation_conductance_s
        )


def test_trains_of_the_model_rise_as_the_measured_ones_do(
    taox: dict[str, object], shared_data: Path
) -> None:
    trains = measured_conductance_s(shared_data / "taox_pulses" / "set.csv")
    shortest = min(map(len, trains))
    measured = np.array([train[:shortest] for train in trains])
    device = make("pulse_response", (20, 20), **taox, initial=float(measured[:, 0].mean()))
    span_conductance_s = measured[:, -1].mean() - measured[:, 0].mean()
    for pulse in range(1, shortest):
        device.pulse(pulses(device, 1.0, 1e-6))
        if pulse % 30 == 0:
            assert device.conductance_s.mean() == pytest.approx(
                measured[:, pulse].mean(), abs=0.08 * span_conductance_s
            )


def test_thousands_of_pulses_end_between_the_measured_ends_and_say_so_once(
    taox: dict[str, object],
) -> None:
    device = make("pulse_response", (10, 10), **taox)
    device.pulse(pulses(device, 1.0, 1e-6, 3000))
    (event,) = device.take_events()
    assert event.message.startswith("held at an end of the measured range, ")
    device.pulse(pulses(device, 1.0, 1e-6, 10))
    assert sum("100 cells" in event.message for event in device.take_events()) == 0
    assert (device.conductance_s <= 2.5e-3).all()
    device.pulse(pulses(device, -1.0, 1e-6, 1000))
    assert (device.conductance_s >= 1.5e-3).all()


def test_both_directions_go_in_one_map() -> None:
    device = make("pulse_response", (1, 3), neighbours=1, initial=2e-6)
    device.pulse(PulseMap(np.array([[1.0, 0.0, -1.0]]), 1e-3))
    assert device.conductance_s[0].tolist() == pytest.approx([2.8e-6, 2e-6, 1e-6])


def test_a_calibration_is_a_train_with_its_own_pulse() -> None:
    device = make("pulse_response", (50, 50), up={"calibration": "shumilin2024_2V_50ms"}, down=None)
    device.pulse(pulses(device, 2.0, 50e-3, 50))
    # The train ends at 664 nS; with scatter some cells are held there, the others come later.
    assert 600e-9 < device.conductance_s.mean() < 664e-9
    with pytest.raises(Unsupported, match="does not cover -2 V"):
        device.check(pulses(device, -2.0, 50e-3))


def test_normalised_numbers_become_siemens_by_scale_and_offset(shared_data: Path) -> None:
    file = shared_data / "hfo2_pulse_response" / "gong_et_al.csv"
    numbers = np.loadtxt(file, delimiter=",")
    rest = {
        "width_s": 1e-3,
        "file": str(file),
        "scale_conductance_s": "1 uS",
        "offset_conductance_s": "5 uS",
    }
    device = make(
        "pulse_response",
        (20, 20),
        up={"amplitude_v": 1.0, "columns": [0], **rest},
        down={"amplitude_v": -1.0, "columns": [1], **rest},
    )
    np.testing.assert_allclose(device.conductance_s, 5e-6 + 1e-6 * numbers[0, 0])
    device.pulse(pulses(device, 1.0, 1e-3, 50))
    bounds_conductance_s = 5e-6 + 1e-6 * numbers.min(), 5e-6 + 1e-6 * numbers.max()
    assert (device.conductance_s >= bounds_conductance_s[0]).all()
    assert (device.conductance_s <= bounds_conductance_s[1]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"up": None, "down": None}, "give trains for up, for down, or for both"),
        ({"down": DOWN | {"amplitude_v": 1.0}}, "up and down have the same amplitude_v, 1"),
        ({"up": UP | {"conductance_s": [[1e-6]]}}, r"up\.conductance_s\.0"),
        ({"up": UP | {"conductance_s": [[1e-6, -1e-6]]}}, r"up\.conductance_s\.0\.1: -1e-06"),
        ({"up": UP | {"file": "x.csv"}}, "give either file or conductance_s"),
        ({"up": {"calibration": "shumilin2024_2V_50mss"}}, "did you mean 'shumilin2024_2V_50ms'"),
    ],
)
def test_trains_that_cannot_be_used_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make("pulse_response", **settings)
