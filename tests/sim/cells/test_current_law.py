"""Cells whose current does not follow Ohm's law, as a procedure asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, VectorBatch
from hwloop.errors import ConfigError, Unsupported
from hwloop.plugins import BACKENDS, load
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_sim.circuit import Polynomial, Sinh, Wires, solve_cells
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.emulated import emulated, read_all
from tests.sim.virtual.bench.test_effects import ROOT

SINH = {"law": "sinh", "nonlinearity_per_v": 3}
CUBE = {"law": "polynomial", "higher": ["0.1", 0.4]}
SBT = {
    "model": "sbt",
    "initial": {"distribution": "uniform", "min_conductance_s": 1e-4, "max_conductance_s": 5e-3},
}
LINES = {"row_ohm": 10, "col_ohm": 20, "driver_ohm": 50}
WIRES = Wires(row_ohm=10.0, col_ohm=20.0, driver_ohm=50.0)


def nonlinear(law: dict[str, Any], **sim: Any) -> Any:
    return emulated(3, 4, device=SBT, cell_law=law, **sim)


@pytest.mark.parametrize("population", [None, 2])
@pytest.mark.parametrize(("law", "made"), [(SINH, Sinh(3.0)), (CUBE, Polynomial((0.1, 0.4)))])
def test_reads_and_products_follow_the_law_through_wires(
    law: dict[str, Any], made: Any, population: int | None
) -> None:
    backend = nonlinear(law, wires=LINES, population=population)
    conductance_s = backend._cells.conductance_s
    voltage_v = np.random.default_rng(1).uniform(-0.8, 0.8, (5, 3))
    products_a = backend.multiply(VectorBatch(voltage_v)).current_a
    reads_a = read_all(backend, 0.5)
    for array in np.ndindex(conductance_s.shape[:-2]):
        cells_conductance_s = conductance_s[array]
        expected = solve_cells(cells_conductance_s, made, row_v=voltage_v, wires=WIRES).col_a
        np.testing.assert_allclose(products_a[array], expected, rtol=1e-7, atol=1e-12)
        alone = solve_cells(cells_conductance_s, made, row_v=0.5 * np.eye(3), wires=WIRES).col_a
        np.testing.assert_allclose(reads_a[array], alone, rtol=1e-7)


def test_without_wires_a_column_adds_up_what_its_cells_give() -> None:
    backend = nonlinear(SINH)
    voltage_v = np.array([[0.3, -0.8, 0.1]])
    expected = (backend._cells.conductance_s.T * np.sinh(3 * voltage_v[0]) / 3).sum(axis=1)
    current_a = backend.multiply(VectorBatch(voltage_v)).current_a
    np.testing.assert_allclose(current_a[0], expected, rtol=1e-12)


def test_a_pulse_through_wires_moves_cells_less_where_they_draw_more() -> None:
    moved_conductance_s = []
    for law in (None, SINH):
        backend = nonlinear(law, wires=LINES)  # type: ignore[arg-type]
        before_conductance_s = backend._cells.conductance_s
        backend.pulse(PulseMap(np.full((3, 4), -1.5), 1e-5))
        moved_conductance_s.append(before_conductance_s - backend._cells.conductance_s)
    assert (moved_conductance_s[1] < moved_conductance_s[0]).all()


@pytest.mark.parametrize(
    ("device", "law", "words"),
    [
        (SBT, {"law": "sin"}, "'sinh', 'polynomial'"),
        (SBT, {"law": "sinh", "nonlinearity_per_v": 0}, r"cell_law\.sinh\.nonlinearity_per_v: 0"),
        (SBT, {"law": "polynomial", "higher": []}, r"cell_law\.polynomial\.higher"),
        ({"model": "yakopcic"}, SINH, r"backends\.sim\.cell_law: the device model has a"),
    ],
)
def test_a_law_that_cannot_be_is_refused(
    device: dict[str, Any], law: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        emulated(3, 4, device=device, cell_law=law)


def test_a_law_that_falls_at_a_voltage_is_refused_there() -> None:
    backend = nonlinear({"law": "polynomial", "higher": [0, -1]})
    read_all(backend, 0.5)
    with pytest.raises(Unsupported, match=r"cell \(0, 0\): at 0.6 V the current of Polynomial"):
        read_all(backend, 0.6)


def test_a_virtual_bench_says_that_its_cells_are_linear() -> None:
    file = ROOT / "procedures" / "manhattan_4x4.yaml"
    procedure = load_procedure(file, ["backends.sim.cell_law={law: sinh, nonlinearity_per_v: 3}"])
    settings = procedure.backend_settings(load(BACKENDS, "sim"))
    station = load_station(ROOT / "stations" / "virtual_4x4.yaml")
    with pytest.raises(ConfigError, match="the cells of a virtual bench are linear"):
        VirtualBench(station, procedure.array, settings, seed=1)  # type: ignore[arg-type]
