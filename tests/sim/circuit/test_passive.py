"""Linear arrays against sparse LU with extended-precision refinement, and against arithmetic."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwloop.errors import BackendError
from hwloop.types import FloatArray
from hwloop_sim.circuit import Solution, Wires, passive, solve
from tests.sim.circuit.cases import SCHEMES, biased, four_decades, wires, with_faults
from tests.sim.circuit.network import by_sparse_lu, network

OHMS = (0.0, 0.1, 1.0, 30.0, 100.0)


def reference(
    cells_conductance_s: FloatArray, row_v: FloatArray, col_v: FloatArray, between: Wires
) -> tuple[FloatArray, FloatArray]:
    """Voltages of the word and bit lines at every cell."""
    circuit = network(cells_conductance_s, row_v, col_v, between)
    word_v, bit_v = circuit.volts(by_sparse_lu(circuit))
    return word_v, bit_v


def assert_is(
    found: Solution,
    cells_conductance_s: FloatArray,
    word_v: FloatArray,
    bit_v: FloatArray,
    *,
    largest_v: float,
    rel: float,
) -> None:
    """``found`` within ``rel`` of the largest voltage and current; NaN in the same places."""
    cell_v = word_v - bit_v
    cell_a = np.where(
        (cells_conductance_s > 0) & ~np.isnan(cell_v), cells_conductance_s * cell_v, 0.0
    )  # islands: 0 A
    # A dead end carries what rounding of its voltage makes, not 0 A.
    largest_a = max(float(np.abs(cell_a).max()), largest_v * float(cells_conductance_s.max()))
    np.testing.assert_allclose(found.word_v, word_v, rtol=0, atol=rel * largest_v)
    np.testing.assert_allclose(found.bit_v, bit_v, rtol=0, atol=rel * largest_v)
    np.testing.assert_allclose(found.cell_v, cell_v, rtol=0, atol=rel * largest_v)
    np.testing.assert_allclose(found.cell_a, cell_a, rtol=0, atol=rel * largest_a)
    np.testing.assert_allclose(found.row_a, cell_a.sum(axis=1), rtol=0, atol=8 * rel * largest_a)
    np.testing.assert_allclose(found.col_a, cell_a.sum(axis=0), rtol=0, atol=8 * rel * largest_a)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ohm", OHMS)
@pytest.mark.parametrize("ends", ["one", "both"])
def test_agrees_with_sparse_lu_for_every_scheme(scheme: str, ohm: float, ends: str) -> None:
    row_v, col_v = biased(scheme, 12, 17)
    for cells_conductance_s in (four_decades(12, 17), with_faults(12, 17)):
        between = wires(ohm, ends=ends)
        found = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=between)
        assert_is(
            found,
            cells_conductance_s,
            *reference(cells_conductance_s, row_v, col_v, between),
            largest_v=float(np.nanmax(np.abs(row_v))),
            rel=1e-11,
        )


@pytest.mark.parametrize("ohm", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("scheme", ["multiply", "floating"])
def test_agrees_with_sparse_lu_at_64_by_64(scheme: str, ohm: float) -> None:
    row_v, col_v = biased(scheme, 64, 64)
    cells_conductance_s = with_faults(64, 64)
    found = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=wires(ohm))
    assert_is(
        found,
        cells_conductance_s,
        *reference(cells_conductance_s, row_v, col_v, wires(ohm)),
        largest_v=float(np.nanmax(np.abs(row_v))),
        rel=1e-11,
    )


def line_voltages(lines: int) -> st.SearchStrategy[FloatArray]:
    return arrays(
        np.float64, lines, elements=st.one_of(st.just(np.nan), st.floats(-3, 3, width=32))
    )


def ohms() -> st.SearchStrategy[float]:
    return st.one_of(st.just(0.0), st.floats(-2, 4).map(lambda power: 10.0**power))


@st.composite
def circuits(draw: st.DrawFn) -> tuple[FloatArray, FloatArray, FloatArray, Wires]:
    rows, cols = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    siemens = st.one_of(st.just(0.0), st.floats(-8, -2).map(lambda power: 10.0**power))
    between = Wires(
        row_ohm=draw(ohms()),
        col_ohm=draw(ohms()),
        driver_ohm=draw(ohms()),
        sense_ohm=draw(ohms()),
        selector_ohm=draw(ohms()),
        row_ends=draw(st.sampled_from(("left", "right", "both"))),
        col_ends=draw(st.sampled_from(("top", "bottom", "both"))),
    )
    cells_conductance_s = draw(arrays(np.float64, (rows, cols), elements=siemens))
    return cells_conductance_s, draw(line_voltages(rows)), draw(line_voltages(cols)), between


HANGING_S = np.zeros((2, 6))  # everything floats on 1e-4 and 1e-8 S
HANGING_S[0, 4:], HANGING_S[1, 5] = (5.62341325e-3, 1e-4), 1e-8


@settings(max_examples=200, deadline=None)
@example((HANGING_S, np.array([np.nan, 1.0]), np.full(6, np.nan), Wires()))
@given(circuits())
def test_agrees_with_sparse_lu_for_any_circuit(
    circuit: tuple[FloatArray, FloatArray, FloatArray, Wires],
) -> None:
    cells_conductance_s, row_v, col_v, between = circuit
    found = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=between)
    # Six decades: a floating line may hang on a millionth of what it carries, and says so.
    rel = max(1e-9, 30 * found.error)
    largest_v = float(np.nanmax(np.abs(np.concatenate([row_v, col_v])), initial=0.0))
    lines_v = reference(cells_conductance_s, row_v, col_v, between)
    assert_is(found, cells_conductance_s, *lines_v, largest_v=largest_v, rel=rel)


def test_ideal_wires_give_ohms_law() -> None:
    cells_conductance_s = four_decades(5, 7)
    row_v = np.linspace(-0.2, 0.2, 5)
    found = solve(cells_conductance_s, row_v=row_v, wires=Wires())
    np.testing.assert_allclose(found.cell_v, np.broadcast_to(row_v[:, None], (5, 7)), rtol=0)
    np.testing.assert_allclose(found.col_a, row_v @ cells_conductance_s, rtol=1e-15)


def test_two_resistors_in_series_with_all_the_leads() -> None:
    between = Wires(row_ohm=3.0, col_ohm=5.0, driver_ohm=50.0, sense_ohm=20.0, selector_ohm=11.0)
    found = solve([[1e-3]], row_v=[1.0], col_v=[0.1], wires=between)
    current_a = 0.9 / (1000 + 50 + 11 + 3 + 20 + 11 + 5)
    assert found.cell_a[0, 0] == pytest.approx(current_a, rel=1e-14)
    assert found.word_v[0, 0] == pytest.approx(1 - 64 * current_a, rel=1e-14)
    assert found.bit_v[0, 0] == pytest.approx(0.1 + 36 * current_a, rel=1e-14)
    assert found.row_a[0] == found.col_a[0] == found.cell_a[0, 0]


def test_floating_line_is_a_divider_of_its_cells() -> None:
    found = solve([[1e-3, 3e-3]], row_v=[np.nan], col_v=[1.0, 0.0], wires=Wires())
    np.testing.assert_allclose(found.word_v, 0.25, rtol=1e-14)
    np.testing.assert_allclose(found.cell_a, [[-0.75e-3, 0.75e-3]], rtol=1e-14)
    assert found.row_a[0] == 0.0


def test_line_that_nothing_reaches_has_no_voltage_and_no_current() -> None:
    cells_conductance_s = np.array([[1e-3, 0.0], [0.0, 1e-4]])
    found = solve(cells_conductance_s, row_v=[1.0, np.nan], col_v=[0.0, np.nan], wires=wires(1.0))
    assert np.isnan(found.word_v[1]).all()
    assert np.isnan(found.bit_v[:, 1]).all()
    assert np.isnan(found.cell_v).tolist() == [[False, True], [True, True]]
    assert found.cell_a[1, 1] == 0.0
    assert found.cell_a[0, 0] == pytest.approx(1 / (1000 + 56 + 17), rel=1e-13)


def test_both_ends_of_a_row_are_two_drivers_in_parallel() -> None:
    one = Wires(driver_ohm=100.0)
    both = Wires(driver_ohm=100.0, row_ends="both")
    cells_conductance_s, row_v = [[1e-2]], [1.0]
    assert solve(cells_conductance_s, row_v=row_v, wires=one).row_a[0] == pytest.approx(1 / 200)
    assert solve(cells_conductance_s, row_v=row_v, wires=both).row_a[0] == pytest.approx(1 / 150)


def test_current_of_rows_is_the_current_of_columns() -> None:
    found = solve(with_faults(40, 30), row_v=np.linspace(0, 1, 40), wires=wires(10.0))
    assert found.row_a.sum() == pytest.approx(found.col_a.sum(), rel=1e-13)


def test_populations_and_batches_equal_runs_of_one() -> None:
    cells_conductance_s = np.stack([with_faults(6, 5, seed) for seed in range(3)])
    row_v = np.random.default_rng(1).uniform(-1, 1, (3, 4, 6))
    row_v[1, 2, 3] = np.nan
    together = solve(cells_conductance_s, row_v=row_v, wires=wires(20.0))
    assert together.cell_v.shape == (3, 4, 6, 5)
    assert together.col_a.shape == (3, 4, 5)
    for a, v in np.ndindex(3, 4):
        alone = solve(cells_conductance_s[a], row_v=row_v[a, v], wires=wires(20.0))
        np.testing.assert_array_equal(together.cell_v[a, v], alone.cell_v)
        np.testing.assert_array_equal(together.col_a[a, v], alone.col_a)
    shared = solve(cells_conductance_s, row_v=row_v[0], wires=wires(20.0))
    np.testing.assert_array_equal(shared.row_a[0], together.row_a[0])
    assert solve(cells_conductance_s, row_v=row_v[0, 0], wires=wires(20.0)).row_a.shape == (3, 6)


def test_answer_does_not_depend_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells_conductance_s, row_v = (
        with_faults(70, 70),
        np.random.default_rng(2).uniform(-1, 1, (7, 70)),
    )
    several = solve(cells_conductance_s, row_v=row_v, wires=wires(5.0))
    monkeypatch.setattr(passive, "_processors", lambda: 1)
    one = solve(cells_conductance_s, row_v=row_v, wires=wires(5.0))
    np.testing.assert_array_equal(several.cell_v, one.cell_v)


@pytest.mark.parametrize(
    ("cells_conductance_s", "row_v", "message"),
    [
        ([[1e-3, -1e-6]], [1.0], r"conductance_s at \(0, 1\) is -1e-06"),
        ([[1e-3, np.nan]], [1.0], r"conductance_s at \(0, 1\) is nan"),
        ([1e-3, 1e-3], [1.0], r"conductance_s has shape \(2,\)"),
        ([[1e-3, 1e-6]], [1.0, 2.0], r"row_v has shape \(2,\); needs \(1,\)"),
        ([[1e-3, 1e-6]], [np.inf], r"row_v at \(0,\) is inf"),
    ],
)
def test_refuses_values_that_mean_nothing(
    cells_conductance_s: list[list[float]], row_v: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        solve(cells_conductance_s, row_v=row_v, wires=Wires())


def test_refuses_batches_that_differ() -> None:
    with pytest.raises(ValueError, match="row_v has 2 vectors, col_v has 3"):
        solve(np.ones((2, 2)), row_v=np.ones((2, 2)), col_v=np.ones((3, 2)), wires=Wires())


def test_unsolved_circuit_is_an_error_with_its_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passive, "STEPS", 3)
    row_v = np.stack([np.zeros(30), np.ones(30)])
    with pytest.raises(BackendError, match=r"array 0, vector 1: .* after 3 iterations"):
        solve(with_faults(30, 30), row_v=row_v, wires=wires(100.0))


def test_circuit_that_rounding_decides_is_an_error() -> None:
    # Row 1 and column 1, joined by 1 S, hang on 1e-13 S: the voltage is lost in the arithmetic.
    cells_conductance_s = np.array([[0.0, 1e-13], [1e-13, 1.0]])
    with pytest.raises(BackendError, match="the error may be"):
        solve(cells_conductance_s, row_v=[1.0, np.nan], col_v=[0.0, np.nan], wires=Wires())


def test_importing_the_circuit_does_not_import_numba() -> None:
    code = "import sys, hwloop_sim.circuit; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
