"""Device-to-device and cycle-to-cycle spread: means, variances, distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwloop.errors import ConfigError
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, STEP_CONDUCTANCE_S, everywhere, non_ideal

CELLS = 100 * 100


def within(value: float, expected: float, relative_error: float, errors: float = 4.5) -> bool:
    """Whether a statistic lies within so many of its standard errors."""
    return abs(value / expected - 1) < errors * relative_error


def test_the_initial_state_is_lognormal_with_mean_1() -> None:
    cells = non_ideal({"effect": "device_to_device", "sigma": 0.3})
    factor = cells.conductance_s.ravel() / 1e-4
    assert stats.kstest(np.log(factor), "norm", (-0.045, 0.3)).pvalue > 1e-3
    assert within(factor.mean(), 1.0, np.sqrt(np.expm1(0.09) / CELLS))


def test_the_initial_state_follows_measured_values_scaled_to_their_mean() -> None:
    cells = non_ideal({"effect": "device_to_device", "measured": [90, 100, 110, 120]})
    values, counts = np.unique(cells.conductance_s / 1e-4 * 105, return_counts=True)
    np.testing.assert_allclose(values, [90, 100, 110, 120])
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_response_of_a_cell_has_the_same_factor_at_every_pulse() -> None:
    cells = non_ideal({"effect": "device_to_device", "of": "step", "sigma": 0.3})
    first_conductance_s = cells.conductance_s
    assert (first_conductance_s == 1e-4).all()
    cells.pulse(everywhere(cells, 2.0))
    second_conductance_s = cells.conductance_s
    cells.pulse(everywhere(cells, -2.0))
    factor = (second_conductance_s - first_conductance_s) / (2 * STEP_CONDUCTANCE_S)
    assert factor.std() == pytest.approx(np.sqrt(np.expm1(0.09)), rel=0.05)
    np.testing.assert_allclose(cells.conductance_s, first_conductance_s, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_a_step_scatters_as_asked_and_a_train_as_its_steps(distribution: str, count: int) -> None:
    cells = non_ideal({"effect": "cycle_to_cycle", "sigma": 0.3, "distribution": distribution})
    cells.pulse(everywhere(cells, 1.0, count))
    step = (cells.conductance_s - 1e-4) / (count * STEP_CONDUCTANCE_S)
    variance = (0.09 if distribution == "normal" else np.expm1(0.09)) / count
    assert within(step.mean(), 1.0, np.sqrt(variance / CELLS))
    assert within(step.var(), variance, np.sqrt(2.5 / CELLS))
    if distribution == "normal":
        assert stats.kstest((step.ravel() - 1) / np.sqrt(variance), "norm").pvalue > 1e-3
    else:
        of_log = np.sqrt(np.log1p(variance))
        logs = np.log(step.ravel())
        assert stats.kstest(logs, "norm", (-(of_log**2) / 2, of_log)).pvalue > 1e-3


def test_pulses_scatter_independently_of_each_other() -> None:
    cells = non_ideal({"effect": "cycle_to_cycle", "sigma": 0.3})
    steps = []
    for _ in range(2):
        before_conductance_s = cells.conductance_s
        cells.pulse(everywhere(cells, 1.0))
        steps.append((cells.conductance_s - before_conductance_s).ravel())
    assert abs(stats.pearsonr(*steps).statistic) < 4.5 / np.sqrt(CELLS)


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_a_cell_that_does_not_move_does_not_scatter(distribution: str) -> None:
    cells = non_ideal({"effect": "cycle_to_cycle", "sigma": 0.3, "distribution": distribution})
    cells.pulse(everywhere(cells, 0.0))
    assert (cells.conductance_s == 1e-4).all()


def test_scatter_that_would_go_below_zero_is_held_there_and_said() -> None:
    cells = non_ideal({"effect": "cycle_to_cycle", "sigma": 2.0}, start_conductance_s=2e-6)
    cells.pulse(everywhere(cells, -1.5))
    assert cells.conductance_s.min() == 0
    (event,) = cells.take_events()
    assert "held at 0 S" in event.message


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"effect": "device_to_device"}, "one of them"),
        ({"effect": "device_to_device", "sigma": 0.1, "measured": [1, 2]}, "one of them"),
        ({"effect": "device_to_device", "measured": [1, -2]}, "all above 0"),
        ({"effect": "device_to_device", "sigma": -0.1}, "greater than or equal to 0"),
        ({"effect": "cycle_to_cycle", "sigma": 3}, "less than or equal to 2"),
        ({"effect": "cycle_to_cicle", "sigma": 0.3}, "did you mean 'cycle_to_cycle'"),
        ({"effect": "cycle_to_cycle", "sigmo": 0.3}, "unknown key; did you mean 'sigma'"),
        ({"sigma": 0.3}, "key 'effect' names an effect"),
    ],
)
def test_a_parameter_outside_its_validity_is_refused_in_one_line(
    effect: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        SimSettings.parse({"device": DEVICE, "effects": [effect]})
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("effects.0")
