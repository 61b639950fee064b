"""Pulses through wires: states and voltages integrated together, beside ngspice's transients."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop.array.biasing import Scheme, line_fractions
from hwloop.array.operations import PulseMap
from hwloop.errors import BackendError
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.circuit import Wires
from hwloop_sim.devices.linear_ion_drift import LINEAR_ION_DRIFT
from hwloop_sim.devices.vteam import VTEAM
from hwloop_sim.emulator import smooth_steps, sub_steps, wired_pulses
from hwloop_sim.emulator.backend import EmulatedArray
from hwloop_sim.emulator.coupled_cells import CoupledCells
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.sub_steps import integrate_coupled
from hwloop_sim.emulator.wired_pulses import pulse_through_wires
from tests.emulated import emulated
from tests.sim.circuit.network import Network, network
from tests.sim.circuit.spice import NGSPICE, needs_ngspice

SHAPES = [(7, 11), (13, 5), pytest.param((16, 16), marks=pytest.mark.slow)]
SEGMENTS = Wires(row_ohm=5.0, col_ohm=5.0, driver_ohm=10.0)
WIDTH_S = 1e-3
ON_OHM, OFF_OHM = 1e3, 10e3

DRIFT = {
    "r_on_ohm": ON_OHM,
    "r_off_ohm": OFF_OHM,
    "thickness_m": 10e-9,
    "mobility_m2_per_vs": 4e-14,
}
"""μ R_on/D² = 4e5 per ampere and second: 1 mA moves a cell by 0.4 in a pulse."""
BARRIER = {
    "r_on_ohm": ON_OHM,
    "r_off_ohm": OFF_OHM,
    "w_on_m": 0.0,
    "w_off_m": 3e-9,
    "k_off_m_per_s": 1.2e-6,
    "k_on_m_per_s": -1.2e-6,
    "alpha_off": 2.0,
    "alpha_on": 2.0,
    "v_off_v": 0.9,
    "v_on_v": -0.9,
}


def _drift(v: str, x: str) -> tuple[str, str]:
    """Current, and rate in units of a pulse, of the cell in SPICE."""
    current = f"{v}/({ON_OHM}*{x}+{OFF_OHM}*(1-{x}))"
    return current, f"{4e-14 * ON_OHM / 1e-16 * WIDTH_S!r}*{current}"


def _threshold(v: str, x: str) -> tuple[str, str]:
    speed = 1.2e-6 / 3e-9 * WIDTH_S
    up, down = f"{speed!r}*({v}/0.9-1)*({v}/0.9-1)", f"-{speed!r}*({v}/-0.9-1)*({v}/-0.9-1)"
    rate = f"(({v}>0.9) ? ({up}) : (({v}<-0.9) ? ({down}) : 0))"
    return f"{v}/({ON_OHM}+{OFF_OHM - ON_OHM}*{x})", rate


MODELS: dict[str, Any] = {
    "ion drift": (LINEAR_ION_DRIFT, DRIFT, _drift),
    "threshold": (VTEAM, BARRIER, _threshold),
}
RESETS: dict[str, tuple[str, float, Scheme]] = {
    "ion drift": ("ion drift", -1.6, "V/2"),
    "threshold": ("threshold", 1.9, "V/2"),
    "threshold at V/3": ("threshold", 2.2, "V/3"),
}
"""A model, the amplitude that raises its resistance, and how the other lines are biased."""


def _cells(model: str, conductance_s: FloatArray) -> NonIdealDevice:
    kind, settings, _ = MODELS[model]
    given = {"distribution": "given", "values_conductance_s": conductance_s.tolist()}
    parsed = kind.settings.parse({**settings, "initial": given})
    device = kind.make(parsed, conductance_s.shape, np.random.default_rng(1))
    return NonIdealDevice(device, [])


def _begin_conductance_s(shape: tuple[int, int], selected: tuple[int, int]) -> FloatArray:
    """The selected cell near its low resistance, the others all over the range."""
    ohm = np.random.default_rng(5).uniform(1.5e3, 8e3, shape)
    ohm[selected] = 1.1e3
    return 1 / ohm


def _transient(circuit: Network, model: str, begin_state: FloatArray, folder: Path) -> FloatArray:
    """The states after a pulse by ngspice, time in units of the pulse: a capacitor for each."""
    cards = ["* array", ".options reltol=1e-9 abstol=1e-16 vntol=1e-12 gmin=1e-30 method=trap"]
    for number, (start, end, siemens) in enumerate(circuit.edges):
        if number >= circuit.word.size:
            cards.append(f"R{number} n{start} n{end} {float(1 / siemens)!r}")
            continue
        current, rate = MODELS[model][2](f"v(n{start},n{end})", f"v(x{number})")
        cards.append(f"B{number} n{start} n{end} I={current}")
        cards.append(f"BX{number} 0 x{number} I={rate}")
        cards.append(f"CX{number} x{number} 0 1 IC={float(begin_state.flat[number])!r}")
    cards += [f"V{node} n{node} 0 {float(volts)!r}" for node, volts in circuit.held.items()]
    out = folder / "states.txt"
    states = " ".join(f"v(x{number})" for number in range(circuit.word.size))
    cards += [".tran 1e-2 1 0 1e-3 uic", ".control", "set numdgt=15", "set wr_singlescale", "run"]
    cards += [f"wrdata {out} {states}", ".endc", ".end"]
    netlist = folder / "pulse.cir"
    netlist.write_text("\n".join(cards) + "\n", encoding="ascii")
    assert NGSPICE is not None
    done = subprocess.run(
        [NGSPICE, "-b", str(netlist)], capture_output=True, text=True, check=False
    )
    assert out.exists(), done.stdout + done.stderr
    last = np.array(out.read_text().splitlines()[-1].split(), dtype=np.float64)
    assert last[0] == 1.0
    return last[1:].reshape(circuit.word.shape)


def _conductance_s(model: str, state: FloatArray) -> FloatArray:
    on = state if model == "ion drift" else 1 - state
    return 1 / (ON_OHM * on + OFF_OHM * (1 - on))


@needs_ngspice
@pytest.mark.parametrize("shape", SHAPES, ids=["7x11", "13x5", "16x16"])
@pytest.mark.parametrize("reset", list(RESETS))
def test_a_pulse_through_wires_is_the_transient_of_the_whole_circuit(
    reset: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    model, reset_v, scheme = RESETS[reset]
    selected = (shape[0] // 2, shape[1] - 2)
    cells = _cells(model, _begin_conductance_s(shape, selected))
    amplitude_v = np.zeros(shape)
    amplitude_v[selected] = reset_v
    row, col = (np.array([index]) for index in selected)
    rows, cols = line_fractions(scheme, shape, row=row, col=col)
    circuit = network(cells.conductance_s, reset_v * rows[0], reset_v * cols[0], SEGMENTS)
    device = cells.continuous
    assert device is not None
    expected = _conductance_s(model, _transient(circuit, model, device.state, tmp_path))
    lines = ArrayLines(SEGMENTS, Tiles(), scheme, shape)
    frozen = _cells(model, cells.conductance_s)
    frozen.pulse(next(lines.stresses(frozen, PulseMap(amplitude_v, WIDTH_S))))
    pulse_through_wires(lines, cells, PulseMap(amplitude_v, WIDTH_S))
    np.testing.assert_allclose(cells.conductance_s, expected, rtol=1e-6)
    assert abs(frozen.conductance_s[selected] / expected[selected] - 1) > 0.01


def _given(shape: tuple[int, int], **sim: object) -> EmulatedArray:
    ohm = np.random.default_rng(5).uniform(1.1e3, 8e3, shape)
    initial = {"distribution": "given", "values_conductance_s": (1 / ohm).tolist()}
    device = {"model": "linear_ion_drift", **DRIFT, "initial": initial}
    return emulated(*shape, device=device, **sim)  # type: ignore[arg-type]


def _after_a_map(amplitude_v: FloatArray, pulses: int = 1, **sim: object) -> FloatArray:
    array = _given((3, 4), **sim)
    array.pulse(PulseMap(amplitude_v, WIDTH_S, count=pulses))
    return array._cells.conductance_s


WIRED = {"row_ohm": 5.0, "col_ohm": 5.0, "driver_ohm": 10.0}
SOME_V = np.array([[1.0, 0, 0, -1.0], [0, 0.8, 0, 0], [0, 0, -0.9, 0]])
SCATTER = [{"effect": "cycle_to_cycle", "sigma": 0.3}]


def test_voltages_at_begin_are_those_of_the_circuit_before_the_pulse() -> None:
    one_v = np.zeros((3, 4))
    one_v[1, 2] = -1.0
    frozen_s = _after_a_map(one_v, wires={**WIRED, "pulses": "at_begin"})
    array = _given((3, 4))
    lines = ArrayLines(Wires(**WIRED), Tiles(), "V/2", (3, 4))
    array._cells.pulse(next(lines.stresses(array._cells, PulseMap(one_v, WIDTH_S))))
    np.testing.assert_array_equal(frozen_s, array._cells.conductance_s)
    followed_s = _after_a_map(one_v, wires=WIRED)
    assert abs(followed_s[1, 2] / frozen_s[1, 2] - 1) > 1e-4


def test_a_seed_gives_the_same_cells_after_integrated_pulses_that_scatter() -> None:
    first_s, again_s = (_after_a_map(SOME_V, wires=WIRED, effects=SCATTER) for _ in range(2))
    np.testing.assert_array_equal(first_s, again_s)
    assert (first_s != _after_a_map(SOME_V, wires=WIRED)).any()


def test_pulses_in_a_row_through_wires_are_one_of_their_summed_width() -> None:
    thrice = _given((3, 4), wires=WIRED)
    one_v = np.zeros((3, 4))
    one_v[1, 2] = -0.8
    for _ in range(3):
        thrice.pulse(PulseMap(one_v, WIDTH_S))
    np.testing.assert_allclose(
        _after_a_map(one_v, pulses=3, wires=WIRED), thrice._cells.conductance_s, rtol=1e-6
    )


def test_cells_that_reach_their_bounds_follow_the_solution_of_scipy() -> None:
    """Three cells of ion drift behind one resistance, of which the second reaches its bound."""
    cells = _cells("ion drift", 1 / np.array([[4e3, 1.3e3, 6e3]]))
    device = cells.continuous
    assert device is not None
    begin, speed_per_as, width_s = device.state, 4e5, 2e-3

    def voltage_v(state: FloatArray) -> FloatArray:
        device.take_state(state)
        total_s = device.conductance_s.sum(axis=(-2, -1), keepdims=True)
        return np.broadcast_to(1.0 / (1 + 200 * total_s), state.shape)

    def rate(_: float, x: FloatArray) -> FloatArray:
        ohm = ON_OHM * x + OFF_OHM * (1 - x)
        return np.where(x < 1, speed_per_as / ohm / (1 + 200 * (1 / ohm).sum()), 0.0)

    def full(_: float, x: FloatArray) -> float:
        return float(x[1] - 1)

    full.terminal = True  # type: ignore[attr-defined]
    exact = {"rtol": 1e-12, "atol": 1e-14}
    first = solve_ivp(rate, (0, width_s), begin[0], events=full, **exact)
    at_bound = first.y[:, -1]
    at_bound[1] = 1.0
    assert first.t[-1] < width_s
    expected = solve_ivp(rate, (first.t[-1], width_s), at_bound, **exact).y[:, -1]
    coupled = CoupledCells(device, voltage_v, np.array([1]))
    found = integrate_coupled(coupled, begin, width_s)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    assert found[0, 1] == 1.0


def test_a_cell_held_back_by_its_series_resistance_is_found_in_few_solutions() -> None:
    """SET of a fast cell: its voltage falls to the threshold long before the pulse ends."""
    settings = {**BARRIER, "k_on_m_per_s": -1e3}
    cells = NonIdealDevice(
        VTEAM.make(
            VTEAM.settings.parse({**settings, "initial": 1.5e-4}), (1, 1), np.random.default_rng(1)
        ),
        [],
    )
    device = cells.continuous
    assert device is not None
    solutions = 0

    def voltage_v(state: FloatArray) -> FloatArray:
        nonlocal solutions
        solutions += 1
        device.take_state(state)
        return -2.0 / (1 + 3e3 * device.conductance_s)

    coupled = CoupledCells(device, voltage_v, np.array([0]))
    found = integrate_coupled(coupled, device.state, 1.0)
    device.take_state(found)
    # At -0.9 V, the threshold, nothing moves: 1.1 V over 3 kohm leave 0.9 V over this resistance.
    assert 1 / device.conductance_s == pytest.approx(0.9 / 1.1 * 3e3, rel=1e-5)
    assert solutions < 200


def test_arrays_of_a_population_are_to_the_bit_as_if_each_were_alone() -> None:
    ohm = np.random.default_rng(5).uniform(1.1e3, 8e3, (3, 4, 5))
    amplitude_v = np.zeros((4, 5))
    amplitude_v[1, 3], amplitude_v[2, 0] = -1.6, 1.2
    lines = ArrayLines(SEGMENTS, Tiles(), "V/2", (4, 5))
    for model in MODELS:
        together = _cells(model, 1 / ohm)
        pulse_through_wires(lines, together, PulseMap(amplitude_v, WIDTH_S))
        for number, one in enumerate(1 / ohm):
            alone = _cells(model, one)
            pulse_through_wires(lines, alone, PulseMap(amplitude_v, WIDTH_S))
            np.testing.assert_array_equal(together.conductance_s[number], alone.conductance_s)
        assert np.abs(together.conductance_s * ohm - 1).max() > 0.1


@pytest.mark.parametrize("failure", [BackendError("no solution"), KeyboardInterrupt()])
def test_a_pulse_that_fails_leaves_the_cells_as_they_were(
    failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = _cells("ion drift", np.full((3, 4), 1 / 3e3))
    before_s = cells.conductance_s
    lines = ArrayLines(SEGMENTS, Tiles(), "V/2", (3, 4))
    real, calls = sub_steps.integrate_coupled, 0

    def second_fails(cells: CoupledCells, state: FloatArray, duration_s: float) -> FloatArray:
        nonlocal calls
        calls += 1
        moved = real(cells, state, duration_s)
        if calls == 2:
            raise failure
        return moved

    monkeypatch.setattr(wired_pulses, "integrate_coupled", second_fails)
    with pytest.raises(type(failure)):
        pulse_through_wires(lines, cells, PulseMap(SOME_V, WIDTH_S))
    assert calls == 2
    np.testing.assert_array_equal(cells.conductance_s, before_s)


def test_more_steps_than_allowed_are_refused_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sub_steps, "MOST_STEPS", 1)
    monkeypatch.setattr(smooth_steps, "MOST_TRIALS", 1)
    cells = _cells("ion drift", np.full((3, 4), 1 / 3e3))
    lines = ArrayLines(Wires(row_ohm=50.0, col_ohm=50.0), Tiles(), "V/2", (3, 4))
    with pytest.raises(BackendError, match=r"after 1 sub-steps: .* s are left; wires.pulses"):
        pulse_through_wires(lines, cells, PulseMap(2 * SOME_V, WIDTH_S))
