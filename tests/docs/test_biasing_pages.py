"""The pages that give biasing schemes in tables give them as the program applies them."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from hwloop.array.biasing import SCHEMES, Scheme, required_drives, stress

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = {
    "0": Fraction(0),
    "v": Fraction(1),
    "ground": Fraction(0),
    "open": None,
    "none": Fraction(0),
}


def _row(page: str, scheme: str) -> list[str]:
    (row,) = re.findall(
        rf"^\| `{re.escape(scheme)}` \|(.*)\|$", (DOCS / page).read_text("utf-8"), re.MULTILINE
    )
    return [cell.strip() for cell in row.split("|")]


def _fraction(text: str) -> Fraction | None:
    """What "v", "−v/3", "2v/3", "0", "open" say, as a fraction of the selected cell's voltage."""
    text = text.strip().lower().removeprefix("up to ").replace("−", "-")
    if text in NUMBERS:
        return NUMBERS[text]
    sign, times, divisor = re.fullmatch(r"(-?)(\d*)v(?:/(\d+))?", text).groups()  # type: ignore[union-attr]
    return (-1 if sign else 1) * Fraction(int(times or 1), int(divisor or 1))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_on_wiring_gives_outputs_and_lines_of_every_scheme(scheme: Scheme) -> None:
    outputs, selected, others, worst = _row("how-to/wire-a-bench.md", scheme)
    bias = SCHEMES[scheme]
    assert re.findall(r"`(\w+)`", outputs) == required_drives(scheme)
    row, col = (_fraction(part) for part in selected.split(","))
    assert (row, col) == (bias.selected_row.fraction, bias.selected_col.fraction)
    if scheme == "1T1R":
        assert others.startswith("gates off")
        others = others.replace("gates off", "0")
    parts = [_fraction(part) for part in others.split(",")]
    other_row, other_col = parts if len(parts) == 2 else parts * 2
    assert (other_row, other_col) == (bias.other_rows.fraction, bias.other_cols.fraction)
    assert float(_fraction(worst) or 0) == stress(scheme).worst


@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_on_procedures_gives_what_unselected_cells_see(scheme: Scheme) -> None:
    found = stress(scheme)
    seen = [float(_fraction(cell) or 0) for cell in _row("reference/procedure.md", scheme)[:3]]
    assert seen == [found.same_row, found.same_col, found.elsewhere]
