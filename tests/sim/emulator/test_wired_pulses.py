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
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.circuit import Wires
from hwloop_sim.devices.linear_ion_drift import LINEAR_ION_DRIFT
from hwloop_sim.devices.vteam import VTEAM
from hwloop_sim.emulator.backend import EmulatedArray
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.sub_steps import CoupledCells, integrate_coupled
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
@pytest.mark.parametrize("model", list(MODELS))
def test_a_pulse_through_wires_is_the_transient_of_the_whole_circuit(
    model: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    scheme: Scheme = "V/2"
    selected = (shape[0] // 2, shape[1] - 2)
    reset_v = -1.6 if model == "ion drift" else 1.9
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


def test_two_coupled_cells_follow_the_solution_of_scipy() -> None:
    def voltage_v(state: FloatArray) -> FloatArray:
        return 1 / (1 + state.sum() + state)

    def after(state: FloatArray, voltage_v: FloatArray, duration_s: float) -> FloatArray:
        return state * np.exp(-3 * voltage_v * duration_s)

    begin = np.array([[0.9, 0.4]])
    cells = CoupledCells(after, voltage_v, lambda state: state, lambda state: state)
    expected = solve_ivp(
        lambda _, x: -3 * voltage_v(x) * x, (0, 2.0), begin[0], rtol=1e-12, atol=1e-14
    ).y[:, -1]
    np.testing.assert_allclose(integrate_coupled(cells, begin, 2.0)[0], expected, rtol=1e-7)
