"""Readings that the station can have made: within the compliance of both ends of a line.

A meter whose own compliance is ``limits.current_a`` cannot read more: a larger number was changed
on its way. A source on the rows that is at its compliance no longer holds its level: the current
that the meter reads is right, but the conductance that would be derived from it is not.
"""

from __future__ import annotations

import math
from typing import Literal

from hwloop.array.blocks import DrivenLines
from hwloop.array.operations import Flag
from hwloop.array.read_path import ReadPath
from hwloop.errors import UnexpectedReply
from hwloop.settings.units import format_quantity
from hwloop_drivers.bench.limited_lines import drives_at_limit
from hwloop_drivers.roles import Measured
from hwloop_drivers.station.drives import BenchDrives

EXCESS = 0.1
"""Relative: a source at its compliance delivers no more than this above it. The ranges of the
source-measure units reach 5 % beyond their nominal value, and limits are accurate to 1 %."""
OFFSET_A = 1e-9
"""Absolute: offset of limit and meter together on the smallest ranges."""


def measure(
    drives: BenchDrives, compliance_a: float, *, driven: DrivenLines = "rows"
) -> tuple[Measured, list[str]]:
    """Measure the current now, from the ``driven`` lines; NaN with a flag where a limit spoils it.

    Returns the drives at their limit besides. Raises :class:`UnexpectedReply` for a current that
    the compliance does not let through.
    """
    meter = drives.meter_for(driven)
    seen = meter.measure_current()
    refuse_impossible(seen, compliance_a)
    others = [key for key, source in drives.sources.items() if source is not meter]
    at_limit = drives_at_limit(drives, others)
    if at_limit:
        seen = Measured(math.nan, seen.flags | Flag.COMPLIANCE)
    if Flag.COMPLIANCE in seen.flags and not at_limit:
        at_limit = [next(key for key, source in drives.sources.items() if source is meter)]
    return seen, at_limit


def resistors_in_words(path: ReadPath) -> tuple[Literal["info", "warning"], str]:
    """Return the level of an event, and its text: what is corrected for the known resistors."""
    level, conductances = _corrected_in_words(path)
    pulses = "pulses are not corrected, and reach the cells smaller by the drop across it"
    return level, f"{conductances}; {pulses}"


def _corrected_in_words(path: ReadPath) -> tuple[Literal["info", "warning"], str]:
    ohm = path.rows_ohm + path.cols_ohm
    lead = f"{ohm:g} ohm in the leads of the selected row and column"
    if path.correction == "every read":
        return "info", f"conductances are corrected for {lead}; currents are as they were measured"
    if path.correction == "whole maps":
        return "warning", (
            f"conductances from reads of all cells are corrected for {lead}; those of single"
            " cells, and of maps with a cell that could not be measured, are not corrected"
        )
    return "warning", (
        f"conductances are not corrected for {lead}: other cells and resistors are in the path"
    )


def refuse_impossible(seen: Measured, compliance_a: float) -> None:
    """Raise :class:`UnexpectedReply` unless the station can have delivered this current."""
    if math.isnan(seen.current_a) and seen.flags:
        return
    bound_a = compliance_a * (1 + EXCESS) + OFFSET_A
    if not abs(seen.current_a) <= bound_a:
        raise UnexpectedReply(
            f"the meter reads {format_quantity(seen.current_a, 'A', digits=4)}, which its"
            f" compliance of {format_quantity(compliance_a, 'A', digits=4)} does not let through:"
            " the reply was changed on its way; check the cable"
        )
