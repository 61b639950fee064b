"""``hwloop calibrations``: the shipped calibrations, and source, validity and figures of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwloop.terminal import say

if TYPE_CHECKING:
    from hwloop_sim.calibration.file import Calibration
    from hwloop_sim.calibration.table import ConductanceTable


def calibrations(
    name: Annotated[
        str | None, typer.Argument(help="A shipped calibration, or a file of your own.")
    ] = None,
) -> None:
    """List the calibrations that ship, or say where one comes from and how far it holds."""
    from hwloop.datasets.calibrations import shipped
    from hwloop_sim.calibration.file import Calibration, load_calibration

    if name is None:
        for one in sorted(shipped()):
            found = load_calibration(one, Path())
            say(f"{one:36} {found.model or 'effects':14} {found.title}")
        return
    found = load_calibration(name, Path())
    lines = _of_file(found) if isinstance(found, Calibration) else _of_table(found)
    for line in lines:
        say(line)


def _of_table(table: ConductanceTable) -> Iterator[str]:
    yield from _heading(table)
    yield f"{'conditions':12} {_listed(table.conditions.model_dump(exclude_none=True))}"
    yield f"{'validity':12} {table.validity}"
    low_conductance_s, high_conductance_s = min(table.conductance_s), max(table.conductance_s)
    pulses = len(table.conductance_s) - 1
    yield f"{'range':12} {low_conductance_s:.4g} to {high_conductance_s:.4g} S, {pulses} pulses"


def _of_file(found: Calibration) -> Iterator[str]:
    from hwloop_sim.calibration.file import flat

    yield from _heading(found)
    if found.licence:
        yield f"{'licence':12} {found.licence}"
    if found.conditions:
        yield f"{'conditions':12} {_listed(found.conditions)}"
    yield from _validity(found)
    for effect in found.effects or ():
        yield f"{'effect':12} {_listed(effect)}"
    for name, value in flat(found.parameters):
        if isinstance(value, int | float | str):
            error = found.uncertainty.get(name.removesuffix(".sigma"))
            yield f"  {name:34} {_number(value)}" + ("" if error is None else f" ± {error:.2g}")
    for name, value in found.goodness.items():
        yield f"{'fit':12} {name} {_number(value)}"
    for figures in found.held_out:
        yield f"{'held out':12} {_listed(figures)}"
    for remark in found.remarks:
        yield f"{'remark':12} {remark}"


def _validity(found: Calibration) -> Iterator[str]:
    if found.validity is None:
        return
    stated = found.validity.model_dump(exclude_none=True, exclude_defaults=True)
    summary = stated.pop("summary", "")
    for pulse in stated.pop("pulses", ()):
        yield f"{'pulses':12} {_listed(pulse)}"
    yield f"{'validity':12} {'. '.join(part for part in (_listed(stated), summary) if part)}"


def _heading(found: Calibration | ConductanceTable) -> Iterator[str]:
    for name in ("title", "model", "device", "source", "doi"):
        if value := getattr(found, name):
            yield f"{name:12} {value}"


def _listed(values: Mapping[str, Any]) -> str:
    parts = []
    for name, value in values.items():
        inner = f"({_listed(value)})" if isinstance(value, Mapping) else _number(value)
        parts.append(f"{name} {inner}")
    return ", ".join(parts)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
