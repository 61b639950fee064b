"""Every kind of array beside ngspice, to 1e-9 of the largest voltage and current."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.types import FloatArray
from hwloop_sim.circuit import (
    BehindTransistor,
    Polynomial,
    Sinh,
    Solution,
    Wires,
    solve,
    solve_cells,
)
from tests.sim.circuit.cases import SCHEMES, biased, four_decades, wires, with_faults
from tests.sim.circuit.network import network
from tests.sim.circuit.spice import by_ngspice, needs_ngspice

pytestmark = needs_ngspice
SIZES = [(4, 4), (9, 16), (32, 32), pytest.param((64, 64), marks=pytest.mark.slow)]


def assert_same(found: Solution, cell_v: FloatArray, cell_a: FloatArray) -> None:
    largest_v, largest_a = np.abs(cell_v).max(), np.abs(cell_a).max()
    np.testing.assert_allclose(found.cell_v, cell_v, rtol=0, atol=1e-9 * largest_v)
    np.testing.assert_allclose(found.cell_a, cell_a, rtol=0, atol=1e-9 * largest_a)
    big = np.abs(cell_v) > 0.1 * largest_v
    np.testing.assert_allclose(found.cell_v[big], cell_v[big], rtol=1e-9)
    np.testing.assert_allclose(found.col_a, cell_a.sum(axis=0), rtol=0, atol=1e-9 * largest_a)
    np.testing.assert_allclose(found.row_a, cell_a.sum(axis=1), rtol=0, atol=1e-9 * largest_a)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ohm", [0.1, 1.0, 100.0])
def test_passive_array(shape: tuple[int, int], scheme: str, ohm: float, tmp_path: Path) -> None:
    cells_conductance_s = four_decades(*shape)
    row_v, col_v = biased(scheme, *shape)
    circuit = network(cells_conductance_s, row_v, col_v, wires(ohm))
    word_v, bit_v = circuit.volts(by_ngspice(circuit, tmp_path))
    found = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=wires(ohm))
    assert_same(found, word_v - bit_v, cells_conductance_s * (word_v - bit_v))


@pytest.mark.parametrize("between", [Wires(), wires(1.0, ends="both")], ids=["ideal", "both ends"])
@pytest.mark.parametrize("scheme", ["multiply", "floating"])
def test_faulty_array(scheme: str, between: Wires, tmp_path: Path) -> None:
    cells_conductance_s = with_faults(16, 12)
    row_v, col_v = biased(scheme, 16, 12)
    circuit = network(cells_conductance_s, row_v, col_v, between)
    word_v, bit_v = circuit.volts(by_ngspice(circuit, tmp_path))
    found = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=between)
    assert_same(found, word_v - bit_v, cells_conductance_s * (word_v - bit_v))


@pytest.mark.parametrize(
    "shape", [(4, 4), (16, 16), pytest.param((32, 32), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("scheme", ["multiply", "V/2", "floating"])
@pytest.mark.parametrize("law", [Sinh(3.0), Polynomial((0.2, 1.5))], ids=["sinh", "polynomial"])
def test_array_of_cells_that_are_not_linear(
    law: Sinh | Polynomial, scheme: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    cells_conductance_s = four_decades(*shape)
    row_v, col_v = biased(scheme, *shape)
    if scheme == "multiply":
        row_v = 5 * row_v
    circuit = network(cells_conductance_s, row_v, col_v, wires(10.0))
    siemens = cells_conductance_s.ravel()

    def cell(number: int, v: str) -> str:
        scaled = f"{float(siemens[number])!r}"
        if isinstance(law, Sinh):
            return f"{scaled}*sinh({law.nonlinearity_per_v}*{v})/{law.nonlinearity_per_v}"
        return f"{scaled}*({v}+0.2*{v}*{v}+1.5*{v}*{v}*{v})"

    word_v, bit_v = circuit.volts(by_ngspice(circuit, tmp_path, cell=cell))
    found = solve_cells(cells_conductance_s, law, row_v=row_v, col_v=col_v, wires=wires(10.0))
    cell_v = word_v - bit_v
    shape_v = np.sinh(3 * cell_v) / 3 if isinstance(law, Sinh) else np.polyval(
        [1.5, 0.2, 1, 0], cell_v
    )  # fmt: skip
    assert_same(found, cell_v, cells_conductance_s * shape_v)


def test_one_transistor_array_with_gates_along_the_rows(tmp_path: Path) -> None:
    cells_conductance_s = four_decades(8, 8)
    gate_ohm = np.full((8, 1), np.inf)
    gate_ohm[3] = 2e3
    row_v, col_v = np.full(8, 0.8), np.linspace(0, 0.2, 8)
    joined_conductance_s = np.zeros((8, 8))
    joined_conductance_s[3] = 1 / (1 / cells_conductance_s[3] + 2e3)
    circuit = network(joined_conductance_s, row_v, col_v, wires(10.0))
    word_v, bit_v = circuit.volts(by_ngspice(circuit, tmp_path))
    law = BehindTransistor(Polynomial(()), gate_ohm)
    newton = solve_cells(cells_conductance_s, law, row_v=row_v, col_v=col_v, wires=wires(10.0))
    assert_same(newton, word_v - bit_v, joined_conductance_s * (word_v - bit_v))
