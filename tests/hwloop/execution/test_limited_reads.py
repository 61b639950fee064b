"""Reads that can only come back limited are named before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.array.line_bounds import DriveCircuit
from hwloop.backend.base import Description
from hwloop.execution.limited_reads import limited_at_first, limited_reads
from hwloop.procedure.procedure import Procedure, load_procedure
from tests.characterised import emulated

MANHATTAN = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
RANGE = "array.range={low_conductance_s: 1 uS, high_conductance_s: 150 uS}"


def described(procedure: Procedure, *, bench: bool) -> Description:
    current_a = procedure.array.limits.current_a
    keys = ("rows", "columns")
    drives = {key: DriveCircuit(0.0, current_a) for key in keys} if bench else None
    return Description("any", procedure.array.geometry, drives=drives)  # type: ignore[arg-type]


@pytest.mark.parametrize("bench", [False, True])
def test_the_row_of_a_bench_and_of_the_emulator_carries_all_its_cells(bench: bool) -> None:
    # 4 cells of 150 µS at 50 mV take 30 µA from the output on the row; one takes 7.5 µA.
    enough = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=31 uA"])
    found = limited_reads(enough, described(enough, bench=bench))
    assert not any("a read at" in text for text in found)
    low = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=10 uA"])
    first, *_ = limited_reads(low, described(low, bench=bench))
    assert first == (
        "before and after the steps: a read at 50 mV may take 30 µA with cells at"
        " array.range.high_conductance_s, beyond limits.current_a 10 µA: it would only come back"
        " as limited"
    )


def test_the_column_of_a_product_carries_every_row_of_the_vector() -> None:
    # Four rows at ±0.1 V on cells of 150 µS: 60 µA in a column.
    tight = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=59 uA"])
    (found,) = limited_reads(tight, described(tight, bench=False))
    assert "the product of a vector may take 60 µA" in found
    assert "beyond limits.current_a 59 µA" in found


def test_nothing_is_said_where_all_cells_fit_or_no_range_is_given() -> None:
    fits = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=61 uA"])
    assert limited_reads(fits, described(fits, bench=True)) == []
    unknown = load_procedure(MANHATTAN, ["array.limits.current_a=1 uA"])
    assert limited_reads(unknown, described(unknown, bench=True)) == []


def test_a_row_carries_one_cell_alone_where_the_other_columns_float() -> None:
    changes = ["array.biasing=floating", "array.limits.half_select_v=2.2 V"]
    low = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=10 uA", *changes])
    assert not any("a read at" in text for text in limited_reads(low, described(low, bench=False)))


def test_cells_that_the_emulator_would_read_as_limited_at_first_are_counted() -> None:
    # Four cells of 1 mS at 0.1 V: 400 µA a row.
    cells = {"model": "soft_bounds", "max_conductance_s": 2e-3, "initial": 1e-3}
    for current_a, count in ((390e-6, 16), (410e-6, 0)):
        array = emulated(cells, current_a=current_a)
        found = limited_at_first(array.settings, array.backend)
        assert len(found) == bool(count)
        if count:
            assert "a read at 100 mV would come back as limited for 16 of 16 cells" in found[0]
            assert "limits.current_a 390 µA" in found[0]
