"""Table of the accuracy of the shipped calibrations, from the figures in their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwloop.datasets.calibrations import shipped
from hwloop.settings.units import format_quantity
from hwloop_sim.calibration.file import Calibration, load_calibration

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "calibrations.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
_HEAD = (
    "| calibration | pulse | held-out trains | mean within spread | final conductance: KS | other"
    " half | if equal, 95 % | step: KS | other half | if equal, 95 % |"
)


def lines() -> Iterator[str]:
    """Yield a row for each direction of each calibration that has held-out figures."""
    yield _HEAD
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name in sorted(shipped()):
        found = load_calibration(name, Path())
        if isinstance(found, Calibration):
            for figures in found.held_out:
                if "final_conductance" in figures:
                    yield _row(name, figures)


def _row(name: str, figures: Mapping[str, Any]) -> str:
    volts = format_quantity(figures["amplitude_v"], "V")
    width = format_quantity(figures["width_s"], "s")
    gate = f", gate {figures['gate_v']:g} V" if "gate_v" in figures else ""
    final, step = figures["final_conductance"], figures["step"]
    keys = ("ks_model", "ks_other_half", "ks_95")
    numbers = [f"{of[key]:.3f}" for of in (final, step) for key in keys]
    return (
        f"| `{name}` | {volts}, {width}{gate} | {figures['trains']} |"
        f" {figures['mean_within_spread']:.0%} | {' | '.join(numbers)} |"
    )


def write(page: Path = PAGE) -> None:
    """Write the table between its marks on the page."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    table = "\n".join(lines())
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
