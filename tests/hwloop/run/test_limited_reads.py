"""Reads that can only come back limited are named before anything is measured."""

from __future__ import annotations

from pathlib import Path

from hwloop.array.line_bounds import DriveCircuit
from hwloop.backend.base import Description
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.run.limited_reads import limited_reads

MANHATTAN = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
RANGE = "array.range={low_conductance_s: 1 uS, high_conductance_s: 150 uS}"


def described(procedure: Procedure, *, bench: bool) -> Description:
    current_a = procedure.array.limits.current_a
    keys = ("rows", "columns")
    drives = {key: DriveCircuit(0.0, current_a) for key in keys} if bench else None
    return Description("any", procedure.array.geometry, drives=drives)  # type: ignore[arg-type]


def test_row_of_a_bench_carries_all_its_cells_and_a_cell_of_the_emulator_its_own() -> None:
    # 4 cells of 150 µS at 50 mV take 30 µA from the output on the row; one takes 7.5 µA.
    low = load_procedure(MANHATTAN, [RANGE, "array.limits.current_a=10 uA"])
    assert not any("a read at" in text for text in limited_reads(low, described(low, bench=False)))
    first, *_ = limited_reads(low, described(low, bench=True))
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
