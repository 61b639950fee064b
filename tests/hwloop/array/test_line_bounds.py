"""What cells can see behind real outputs: bounds against circuits that are solved one by one."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.brute_circuit import Output, line_voltages_v
from hwloop.array.biasing import Scheme, stress
from hwloop.array.line_bounds import DriveCircuit, LineBounds

SCHEMES: tuple[Scheme, ...] = ("V/2", "V/3", "grounded", "floating", "1T1R")
# Level of each drive for 1 V on the selected cell, in the order in which a bench sets them, and
# whether the selected or the other lines are on it; written out from the literature.
DRIVES: dict[str, list[tuple[str, float, tuple[str, ...]]]] = {
    "V/2": [("columns", -1 / 2, ("col",)), ("rows", 1 / 2, ("row",))],
    "V/3": [
        ("other_columns", 1 / 3, ("other cols",)),
        ("columns", -1 / 3, ("col",)),
        ("rows", 2 / 3, ("row",)),
    ],
    "grounded": [("columns", 0.0, ("col",)), ("rows", 1.0, ("row",))],
    "floating": [("columns", 0.0, ("col",)), ("rows", 1.0, ("row",))],
    "1T1R": [("columns", 0.0, ("col",)), ("rows", 1.0, ("row", "other cols"))],
}
GROUNDED = {"V/2": {"rows", "cols"}, "V/3": {"rows"}, "grounded": {"rows", "cols"}}


def named(place: str, shape: tuple[int, int], cell: tuple[int, int]) -> list[str]:
    """The lines of a place: "row", "col", "other rows", "other cols"."""
    (rows, cols), (row, col) = shape, cell
    if place == "row":
        return [f"row{row}"]
    if place == "col":
        return [f"col{col}"]
    kind, count, selected = ("row", rows, row) if "rows" in place else ("col", cols, col)
    return [f"{kind}{n}" for n in range(count) if n != selected]


def states_v(
    scheme: Scheme,
    conductance_s: np.ndarray,
    cell: tuple[int, int],
    amplitude_v: float,
    drives: dict[str, DriveCircuit],
) -> list[tuple[bool, np.ndarray]]:
    """Whether the pulse stands, and the voltages of all cells, in every state of switching."""
    shape = conductance_s.shape
    wanted = [d for d in DRIVES[scheme] if named(d[2][0], shape, cell)]
    grounded = [
        line for kind in GROUNDED.get(scheme, ()) for line in named(f"other {kind}", shape, cell)
    ]
    if scheme == "1T1R":
        grounded = named("other rows", shape, cell)
        off = np.arange(shape[0]) != cell[0]
        conductance_s = np.where(off[:, None], 0.0, conductance_s)
    found = []
    for on in range(len(wanted) + 1):
        outputs = [
            Output(
                amplitude_v * fraction * (n < on),
                drives[key].series_ohm,
                drives[key].compliance_a,
                tuple(line for place in places for line in named(place, shape, cell)),
            )
            for n, (key, fraction, places) in enumerate(wanted)
        ]
        lines_v = line_voltages_v(conductance_s, outputs, grounded)
        rows_v = np.array([lines_v[f"row{n}"] for n in range(shape[0])])
        cols_v = np.array([lines_v[f"col{n}"] for n in range(shape[1])])
        cell_v = rows_v[:, None] - cols_v
        found.append((on == len(wanted), np.where(conductance_s > 0, cell_v, 0.0)))
    return found


@st.composite
def drive_circuits(draw: st.DrawFn) -> DriveCircuit:
    return DriveCircuit(
        draw(st.sampled_from([0.0, 0.0, 50.0, 1e3, 1e4])),
        draw(st.sampled_from([inf, 1e-4, 1e-3, 3e-3, 1e-2])),
    )


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(SCHEMES),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    circuits=st.tuples(drive_circuits(), drive_circuits(), drive_circuits()),
    most_conductance_s=st.sampled_from([1e-6, 1e-5, 1e-4, 3e-4, 1e-3]),
    known=st.booleans(),
    amplitude_v=st.sampled_from([0.3, 1.2, -3.0]),
    seed=st.integers(0, 10_000),
)
def test_no_cell_sees_more_than_its_bound_whatever_the_cells_conduct(
    scheme: Scheme,
    shape: tuple[int, int],
    circuits: tuple[DriveCircuit, ...],
    most_conductance_s: float,
    known: bool,
    amplitude_v: float,
    seed: int,
) -> None:
    drives = {key: one for (key, _, _), one in zip(DRIVES[scheme], circuits, strict=False)}
    lines = LineBounds(
        scheme,
        shape,
        drives=drives,  # type: ignore[arg-type]
        most_conductance_s=most_conductance_s if known else None,
    )
    rng = np.random.default_rng(seed)
    corners = rng.choice([1e-12, 1.0], size=shape)  # the extremes lie in corners
    conductance_s = most_conductance_s * (corners if seed % 3 else rng.uniform(0, 1, shape))
    conductance_s = np.maximum(conductance_s, 1e-12 * most_conductance_s)
    cell = (int(rng.integers(shape[0])), int(rng.integers(shape[1])))
    bound = lines.stress(abs(amplitude_v))
    for pulsed, cell_v in states_v(scheme, conductance_s, cell, amplitude_v, drives):
        for row, col in np.ndindex(shape):
            of = {
                (True, True): 1.0 if pulsed else bound.selected,
                (True, False): bound.same_row,
                (False, True): bound.same_col,
                (False, False): bound.elsewhere,
            }[row == cell[0], col == cell[1]]
            seen_v = abs(cell_v[row, col])
            assert seen_v <= of * abs(amplitude_v) * (1 + 1e-6) + 1e-6, (row, col, pulsed)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_that_hold_their_levels_leave_what_the_scheme_leaves(scheme: Scheme) -> None:
    drives = {key: DriveCircuit(0.0, 1e-2) for key, _, _ in DRIVES[scheme]}
    found = LineBounds(scheme, (4, 4), drives=drives, most_conductance_s=1e-5).stress(3.0)  # type: ignore[arg-type]
    wanted = stress(scheme)
    assert (found.same_row, found.same_col, found.elsewhere) == tuple(
        abs(one) for one in (wanted.same_row, wanted.same_col, wanted.elsewhere)
    )
    assert found.selected == {"V/2": 1 / 2, "V/3": 1 / 3}.get(scheme, 0.0)


def test_a_series_resistor_widens_the_bound_by_what_the_cells_can_pull_through_it() -> None:
    # 1 × 2: the other column is at v/3 behind R; its one cell can pull it to 2v/3 by G R / (1+G R).
    drives = {
        "rows": DriveCircuit(0.0, 1.0),
        "columns": DriveCircuit(0.0, 1.0),
        "other_columns": DriveCircuit(1e3, 1.0),
    }
    lines = LineBounds("V/3", (1, 2), drives=drives, most_conductance_s=1e-3)  # type: ignore[arg-type]
    assert lines.stress(3.0).same_row == pytest.approx(1 / 3), "pulled up it sees less"
    assert lines.stress(3.0).worst == pytest.approx(1 / 3)
    # 2 × 2: its cell to the other row pulls it down to v/3 / 2, and 2v/3 stands on the row.
    lines = LineBounds("V/3", (2, 2), drives=drives, most_conductance_s=1e-3)  # type: ignore[arg-type]
    assert lines.stress(3.0).same_row == pytest.approx(2 / 3 - 1 / 6)
    assert lines.reason(3.0) == "other_columns is behind 1 kohm"


def test_a_compliance_counts_from_the_pulse_whose_current_may_reach_it() -> None:
    # 4 × 4 of 100 µS at most: the other columns carry (1 + 3) × 3 cells at v/3, 400 µA a volt.
    drives = {key: DriveCircuit(0.0, 1e-3) for key in ("rows", "columns", "other_columns")}
    lines = LineBounds("V/3", (4, 4), drives=drives, most_conductance_s=1e-4)  # type: ignore[arg-type]
    assert lines.stress(2.4).worst == 1 / 3
    assert lines.reason(2.4) == ""
    assert lines.stress(2.6).worst == pytest.approx(2 / 3), "a line off its level follows the row"
    assert lines.reason(2.6) == "other_columns may be at its compliance of 1 mA"


def test_without_a_range_no_current_is_bounded_and_the_reason_says_so() -> None:
    drives = {key: DriveCircuit(0.0, 1e-1) for key in ("rows", "columns", "other_columns")}
    lines = LineBounds("V/3", (4, 4), drives=drives)  # type: ignore[arg-type]
    assert lines.stress(0.1).worst == 1.0
    assert lines.reason(0.1).endswith("array.range, which would bound its current, is not given")
    assert LineBounds("V/2", (4, 4), drives=drives).stress(3.0).worst == 1 / 2, "ground is ground"  # type: ignore[arg-type]


def test_a_column_of_a_grounded_array_may_follow_its_row() -> None:
    drives = {"rows": DriveCircuit(0.0, 1e-3), "columns": DriveCircuit(0.0, 1e-3)}
    lines = LineBounds("grounded", (4, 1), drives=drives)  # type: ignore[arg-type]
    assert lines.stress(1.0).same_col == 1.0
    known = LineBounds("grounded", (4, 1), drives=drives, most_conductance_s=1e-4)  # type: ignore[arg-type]
    assert known.stress(1.0).same_col == 0.0


@pytest.mark.parametrize(("scheme", "cells"), [("V/2", 3), ("V/3", 3), ("1T1R", 1)])
def test_a_read_takes_the_cells_of_the_row_that_have_its_voltage(
    scheme: Scheme, cells: int
) -> None:
    drives = {key: DriveCircuit() for key, _, _ in DRIVES[scheme]}
    lines = LineBounds(scheme, (5, 3), drives=drives, most_conductance_s=1e-4)  # type: ignore[arg-type]
    assert lines.reading_conductance_s() == pytest.approx(cells * 1e-4)
