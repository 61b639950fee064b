"""Binary cells that switch by chance: binomial counts against the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwloop.array.operations import PulseMap
from tests.emulated import emulated, read_all
from tests.sim.devices.models import make, pulses

CELLS = (200, 200)


def closed(device: object) -> int:
    return int((device.conductance_s > 1e-7).sum())  # type: ignore[attr-defined]


def likely(count: int, of: int, chance: float) -> bool:
    """Whether a count is within what one of a hundred thousand binomial draws would leave."""
    low, high = stats.binom.interval(1 - 1e-5, of, chance)
    return bool(low <= count <= high)


@pytest.mark.parametrize(
    # P = 1 − exp(−t/τ) by hand: τ(2.6 V) = 2.85e5 exp(−2.6/0.156) s = 16.47 ms, τ(3.6 V) = 27.07 µs.
    ("volts", "width_s", "chance"),
    [(2.6, 16.47e-3, 0.6321), (2.6, 1e-3, 0.05891), (3.6, 10e-6, 0.3089), (3.6, 1e-6, 0.03625)],
)
def test_as_many_cells_close_as_the_law_says(volts: float, width_s: float, chance: float) -> None:
    device = make("stochastic_switch", CELLS)
    device.pulse(pulses(device, volts, width_s))
    assert likely(closed(device), 40_000, chance)


def test_the_waiting_times_at_2_6_volts_are_exponential_and_near_the_published_15_3_ms() -> None:
    device = make("stochastic_switch", CELLS)
    left = []
    for _ in range(40):
        device.pulse(pulses(device, 2.6, 1e-3))
        left.append(40_000 - closed(device))
    slope = np.polyfit(np.arange(1, 41) * 1e-3, np.log(left), 1)[0]
    assert -1 / slope == pytest.approx(15.3e-3, rel=0.1)
    assert -1 / slope == pytest.approx(16.47e-3, rel=0.03)


def test_a_train_closes_as_many_cells_as_one_pulse_of_its_length() -> None:
    device = make("stochastic_switch", CELLS)
    device.pulse(pulses(device, 2.6, 1e-3, 20))
    assert likely(closed(device), 40_000, 0.7031)  # 1 − exp(−20/16.47)


def test_a_negative_voltage_opens_closed_cells_by_its_own_law_and_leaves_open_ones() -> None:
    device = make("stochastic_switch", CELLS, opening_time_s=1.0, opening_v=0.5, initial=1e-6)
    device.pulse(pulses(device, -1.0, 0.1))
    assert likely(closed(device), 40_000, 0.4777)  # exp(−0.1 e²)
    before = device.conductance_s
    device.pulse(pulses(device, -1e-3, 1e-12))
    assert (device.conductance_s == before).all()


def test_closed_volatile_cells_open_with_time_and_others_stay() -> None:
    lasting, volatile = (
        make("stochastic_switch", CELLS, initial=1e-6, retention_s=value) for value in (None, 2.0)
    )
    for device in (lasting, volatile):
        device.wait(1.0)
    assert (lasting.volatile, volatile.volatile) == (False, True)
    assert closed(lasting) == 40_000
    assert likely(closed(volatile), 40_000, 0.6065)  # exp(−1/2)


def test_a_conductance_between_the_two_becomes_the_nearer() -> None:
    device = make("stochastic_switch", (1, 2))
    device.set_conductance(np.array([[4e-7, 6e-7]]))
    assert device.conductance_s.tolist() == [[1e-9, 1e-6]]


def test_half_selected_cells_switch_by_their_own_voltage() -> None:
    model = {"model": "stochastic_switch", "closing_time_s": 1.0, "closing_v": 0.1}
    backend = emulated(60, 60, device=model, seed=3)

    amplitude_v = np.zeros((60, 60))
    amplitude_v[0] = 1.0
    backend.pulse(PulseMap(amplitude_v, 1e-3))
    current_a = read_all(backend)
    assert (current_a[0] > 1e-8).mean() > 0.99  # 1 − exp(−1e-3 e^10): certain
    # The others at half the voltage: 1 − exp(−1e-3 e^5) = 0.138.
    assert likely(int((current_a[1:] > 1e-8).sum()), 3540, 0.138)
