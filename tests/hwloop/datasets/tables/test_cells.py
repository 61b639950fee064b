"""Numbers as programs write them, Fortran's among them; what is more than a number is text."""

from __future__ import annotations

import pytest

from hwloop.datasets.tables.cells import CellKind, NumberStyle


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        # edit descriptors D25.16 and E25.16 of Fortran, the letter left out for three digits
        ("1.2D-06", ".", 1.2e-6),
        ("-0.1250000000000000D+01", ".", -1.25),
        ("1.2d3", ".", 1200.0),
        ("3.5-106", ".", 3.5e-106),
        ("-0.35-106", ".", -0.35e-106),
        (".35-106", ".", 0.35e-106),
        ("3,5-106", ",", 3.5e-106),
        ("0.2000000000000000+002", ".", 20.0),
    ],
)
def test_exponents_of_fortran_are_exponents(text: str, decimal: str, value: float) -> None:
    cell = NumberStyle(decimal).parse(text)
    assert (cell.kind, cell.value) == (CellKind.NUMBER, value)


def test_an_exponent_of_three_digits_without_its_letter_may_be_over_range() -> None:
    assert NumberStyle().parse("1.0+300").kind is CellKind.OVER


@pytest.mark.parametrize(
    "text",
    ["5±0.1", "5 ± 0.1", "5 +/- 1", "5(1)", "3-106", "0.1-10", "0.1-1000", "1.2*10^-6", "2024-106"],
)
def test_a_number_with_its_uncertainty_and_a_range_are_text(text: str) -> None:
    assert NumberStyle().parse(text).kind is CellKind.TEXT
