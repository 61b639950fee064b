"""One transistor: its levels against the measured sweeps, its kinetics in closed form."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from tests.sim.devices.models import make, pulses

QUIET = {"set_sigma": 0.0, "reset_sigma": 0.0}


def level_conductance_s(
    volts: float, gate_v: float, width_s: float = 1e-6, count: int = 1, **settings: object
) -> float:
    device = make("one_transistor", **{**QUIET, **settings})
    device.pulse(pulses(device, volts, width_s, count, gate_v))
    return float(device.conductance_s[0, 0])


def medians_conductance_s(path: Path, column: int) -> dict[float, float]:
    """Median conductance after the pulse, by the voltage that was swept."""
    found = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        for line in lines:
            fields = [float(field) for field in line.split()]
            found[round(fields[column], 2)].append(1 / fields[5])
    return {volts: float(np.median(values)) for volts, values in found.items()}


def test_each_cell_follows_its_own_gate_as_if_pulsed_alone() -> None:
    gates_v = np.array([[2.1, 2.4], [2.7, 1.0]])
    device = make("one_transistor", (3, 2, 2), **QUIET)
    device.pulse(PulseMap(np.full((2, 2), 2.0), 1e-6, gate_v=gates_v))
    alone_conductance_s = [[level_conductance_s(2.0, gate_v) for gate_v in row] for row in gates_v]
    for member_conductance_s in device.conductance_s:
        np.testing.assert_array_equal(member_conductance_s, alone_conductance_s)


def test_set_follows_the_gate_as_measured(shared_data: Path) -> None:
    sweep = medians_conductance_s(
        shared_data / "rram_1t1r_mlc" / "set-sweep-wl-noreset-200ns-step-0.05-7-30-20.csv.gz", 3
    )
    gates_v = [volts for volts in sweep if 2.0 <= volts <= 2.75]
    assert len(gates_v) == 16
    for gate_v in gates_v:
        assert level_conductance_s(2.0, gate_v, 200e-9, initial=1e-6) == pytest.approx(
            sweep[gate_v], rel=0.025
        )


def test_reset_follows_the_source_line_as_measured(shared_data: Path) -> None:
    sweep = medians_conductance_s(
        shared_data / "rram_1t1r_mlc" / "reset-sweep-sl-200ns-step-0.05-7-30-20.csv.gz", 2
    )
    lines_v = [volts for volts in sweep if 1.6 <= volts <= 2.5]
    ratios = [
        level_conductance_s(-volts, 4.0, 200e-9, initial=220e-6) / sweep[volts]
        for volts in lines_v
        if volts > 1.6
    ]
    # One exponential for the median cell: 6.8 % rms, 15 % at the worst of 19 voltages.
    assert np.sqrt(np.mean(np.log(ratios) ** 2)) < 0.072
    assert np.abs(np.log(ratios)).max() < 0.16


def test_scatter_from_cycle_to_cycle_is_that_of_the_measured_cells(shared_data: Path) -> None:
    with gzip.open(shared_data / "rram_1t1r_mlc" / "cycling-5-1-20.csv.gz", "rt") as lines:
        cells = [np.array(line.split()[1:], dtype=float) for line in lines]
    after_reset = np.median([_robust(np.log(cell[0::2])) for cell in cells])
    after_set = np.median([_robust(np.log(cell[1::2])) for cell in cells])
    device = make("one_transistor", (100, 100))
    device.pulse(pulses(device, 2.0, 1e-6, gate_v=2.2))
    assert np.log(device.conductance_s).std() == pytest.approx(after_set, rel=0.05)
    device.pulse(pulses(device, -2.0, 1e-6, gate_v=4.0))
    assert np.log(device.conductance_s).std() == pytest.approx(after_reset, rel=0.05)


def _robust(values: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def test_the_set_level_is_the_transistors_current_and_the_series_resistance_by_hand() -> None:
    # (2.5 − 1.916)² · 6.35 mS/V² = 2.16569 mS; with 3970 ohm in series 225.75 µS.
    assert level_conductance_s(2.0, 2.5) == pytest.approx(1 / (3970 + 1 / 2.16569e-3), rel=1e-5)


@pytest.mark.parametrize("volts", [1.1, 2.0, 3.0])
def test_set_depends_on_the_gate_and_not_on_the_bit_line(volts: float) -> None:
    assert level_conductance_s(volts, 2.5) == level_conductance_s(2.0, 2.5)
    assert level_conductance_s(volts, 2.6) > level_conductance_s(volts, 2.5)


def test_reset_depends_on_the_source_line_and_not_on_the_gate_until_that_limits_it() -> None:
    begin = {"initial": 2e-4}
    assert level_conductance_s(-1.8, 4.0, **begin) == level_conductance_s(-1.8, 5.0, **begin)
    assert level_conductance_s(-1.9, 4.0, **begin) < level_conductance_s(-1.8, 4.0, **begin)
    # A gate at 3.5 V passes 3.5 − 1.916 = 1.584 V at most.
    assert level_conductance_s(-3.0, 3.5, **begin) == pytest.approx(
        level_conductance_s(-1.584, 4.0, **begin), rel=1e-9
    )


@pytest.mark.parametrize(
    ("volts", "gate_v"), [(3.0, 1.9), (-3.0, 1.9), (0.99, 4.0), (-1.55, 4.0), (3.0, -5.0)]
)
def test_without_gate_or_below_threshold_nothing_happens(volts: float, gate_v: float) -> None:
    assert level_conductance_s(volts, gate_v, 1.0, 100, initial=1e-4) == 1e-4


def test_the_approach_is_exponential_in_the_time_of_all_pulses() -> None:
    target_conductance_s = level_conductance_s(2.0, 2.5)
    expected_conductance_s = target_conductance_s + (21.2e-6 - target_conductance_s) * np.exp(
        -3 * 7e-9 / 20e-9
    )
    assert level_conductance_s(2.0, 2.5, 7e-9, 3) == pytest.approx(
        expected_conductance_s, rel=1e-12
    )
    assert level_conductance_s(2.0, 2.5, 7e-9, 3, set_sigma=1e-9) == pytest.approx(
        expected_conductance_s, rel=1e-6
    )


def test_set_never_lowers_and_reset_never_raises() -> None:
    for seed in range(5):
        device = make("one_transistor", (20, 20), seed=seed, initial=1e-4)
        device.pulse(pulses(device, 2.0, 1e-7, 3, 2.1))
        assert (device.conductance_s >= 1e-4).all()
        device.pulse(pulses(device, -1.7, 1e-7, 3, 4.0))
        after = device.conductance_s.copy()
        device.pulse(pulses(device, -1.7, 1e-7, 3, 4.0))
        assert (device.conductance_s <= after).all()


def test_cells_of_one_array_share_what_differs_between_arrays() -> None:
    spread = {"v_reset_v": {"sigma": 0.05}}
    device = make("one_transistor", (3000, 1, 2), **QUIET, array_spread=spread, initial=2.5e-4)
    device.pulse(pulses(device, -1.7, 1e-6, gate_v=4.0))
    seen_conductance_s = device.conductance_s[:, 0]
    np.testing.assert_array_equal(seen_conductance_s[:, 0], seen_conductance_s[:, 1])
    # Level = G_f + (1/R_s - G_f) e^(-(u - v_reset)/v_slope), solved for the v_reset of each array.
    floor_conductance_s, high_conductance_s = 21.2e-6, 1 / 3970
    own_v = 1.7 + 0.104 * np.log(
        (seen_conductance_s[:, 0] - floor_conductance_s)
        / (high_conductance_s - floor_conductance_s)
    )
    begun = own_v < 1.69
    assert np.mean(own_v < 1.56) == pytest.approx(0.5, abs=0.03)
    # One deviation below the median lies 16 %.
    assert np.mean(own_v < 1.56 * np.exp(-0.05)) == pytest.approx(0.159, abs=0.02)
    assert begun.mean() > 0.9


def test_an_array_is_of_one_of_the_days_as_a_whole() -> None:
    days = [{"v_transistor_v": 1.1, "growth.conductance_s_per_v": 0.5}, {"r_series_ohm": 0.9}]
    growth = {"exponent": 2.0, "conductance_s_per_v": 1e-3, "width_s": 2e-7}
    device = make("one_transistor", (400, 1, 3), growth=growth, days=days, initial=1e-6)
    device.pulse(pulses(device, 2.0, 2e-7, gate_v=2.4))
    # g = k (V_g - V_t) of either day, far above where it begins; 1/G = R_s + 1/g.
    first, second = 5e-4 * (2.4 - 1.1 * 1.916), 1e-3 * (2.4 - 1.916)
    levels = [1 / (3970 + 1 / first), 1 / (0.9 * 3970 + 1 / second)]
    of_first, of_second = (np.isclose(device.conductance_s, one, rtol=1e-3) for one in levels)
    assert (of_first ^ of_second).all()
    assert (of_first.all(axis=(1, 2)) | of_second.all(axis=(1, 2))).all()
    assert of_first.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("power", [1.0, 1.6])
def test_growth_goes_with_a_power_of_the_overdrive(power: float) -> None:
    growth = {"exponent": 2.0, "conductance_s_per_v": 1e-3, "width_s": 2e-7}
    device = make(
        "one_transistor", (1, 1), growth=growth | {"overdrive_exponent": power}, initial=1e-6
    )
    device.pulse(pulses(device, 2.0, 2e-7, gate_v=2.416))
    own_conductance_s = 1e-3 * 0.5**power
    assert device.conductance_s[0, 0] == pytest.approx(1 / (3970 + 1 / own_conductance_s), rel=1e-3)


def test_a_spread_of_arrays_of_what_is_no_parameter_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"days: 'v_rest_v'.*did you mean 'v_reset_v'"):
        make("one_transistor", days=[{"v_rest_v": 1.1}])
    with pytest.raises(ConfigError, match=r"array_spread: 'v_rest_v'.*did you mean 'v_reset_v'"):
        make("one_transistor", array_spread={"v_rest_v": {"sigma": 0.1}})
