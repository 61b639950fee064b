"""The wiring of a station as a drawing: outputs across, lines of the array down, crosspoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import ConfigError
from hwloop.plotting.style import BLACK, BLUE, GREEN, GREY, LINES, PNG_DPI, new_figure, style
from hwloop.settings.units import format_quantity
from hwloop.station.parts import GROUND, Wire, instrument_of
from hwloop.station.station import Station

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = -1.0  # where the instruments end and the wires begin
SUFFIXES = (".png", ".svg", ".pdf")
FOOT = 0.9  # how far the lines hang below the last output


def draw_wiring(station: Station, path: Path) -> None:
    """Write the drawing as PNG, SVG or PDF, by the file's suffix.

    Raises :class:`hwloop.errors.ConfigError` for another suffix, and
    :class:`FileExistsError` rather than overwrite.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a drawing is one of {', '.join(SUFFIXES)}")
    if path.exists():
        raise FileExistsError(f"{path} exists; remove it, or name another file")
    with style():
        wiring_figure(station).savefig(path, dpi=PNG_DPI)


def wiring_figure(station: Station) -> Figure:
    """Return a drawing: outputs across, lines down, a dot where a channel joins them."""
    lines = list(station.wiring.lines)
    grounded = any(wire.output == GROUND for wire in station.wires())
    outputs = [*station.outputs, *([GROUND] if grounded else [])]
    width_in = 2.6 + 0.62 * max(len(lines), 3)
    figure = new_figure(width_in, 1.1 + 0.62 * len(outputs))
    axes = figure.add_subplot()
    axes.axis("off")
    axes.grid(visible=False)
    axes.set_title(
        f"{station.name}: scheme {station.scheme}", loc="left", fontweight="bold", fontsize=10
    )
    height = {output: -float(n) for n, output in enumerate(outputs)}
    colour = dict(zip(outputs, LINES, strict=False)) | {GROUND: BLACK}
    for output in outputs:
        _draw_output(axes, station, output, height[output], colour[output], len(lines))
    bottom = -len(outputs) + 1 - FOOT
    for x, line in enumerate(lines):
        axes.plot([x, x], [0.35, bottom], color=GREY, linewidth=1.2, zorder=1)
        axes.text(x, bottom - 0.08, line, ha="center", va="top", fontsize=9)
    for wire in station.wires():
        _draw_wire(axes, wire, lines.index(wire.line), height[wire.output], colour[wire.output])
    _draw_array(axes, station, bottom - 0.45)
    axes.set_xlim(LEFT - 2.4, len(lines) - 0.4)
    axes.set_ylim(bottom - 1.05, 0.6)
    return figure


def _draw_output(
    axes: Axes, station: Station, output: str, y: float, colour: str, lines: int
) -> None:
    axes.plot([LEFT, lines - 0.6], [y, y], color=colour, linewidth=1.6, zorder=2)
    if output == GROUND:
        for n, half in enumerate((0.16, 0.1, 0.04)):
            at = LEFT - 0.02 - 0.09 * n
            axes.plot([at, at], [y - half, y + half], color=colour, linewidth=1.6)
        axes.text(LEFT - 0.35, y, "ground", ha="right", va="center", fontsize=9)
        return
    name = instrument_of(output)
    drives = [key for key, value in station.wiring.drive.named().items() if value == output]
    label = f"{output}\n{station.instruments[name].kind}"
    axes.text(
        LEFT - 0.1,
        y,
        label,
        ha="right",
        va="center",
        fontsize=8,
        color=BLACK,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": colour},
    )
    axes.text(LEFT + 0.08, y + 0.2, ", ".join(drives).replace("_", " "), fontsize=7, color=colour)
    ohm = station.wiring.series_ohm.get(output)
    if ohm:
        axes.text(
            LEFT + 0.35,
            y,
            format_quantity(ohm, "Ω"),
            ha="center",
            va="center",
            fontsize=7,
            bbox={"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": colour},
            zorder=4,
        )


def _draw_wire(axes: Axes, wire: Wire, x: int, y: float, colour: str) -> None:
    marker = "s" if wire.channel is None else "o"
    face = colour if wire.channel is None else "white"
    axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=6, zorder=3)
    label = "soldered" if wire.channel is None else wire.channel
    axes.text(x + 0.09, y + 0.09, label, fontsize=6, color=BLACK, zorder=4)


def _draw_array(axes: Axes, station: Station, y: float) -> None:
    """Draw the array below the lines that lead to it."""
    kinds = (("row", "word lines", BLUE), ("col", "bit lines", GREEN), ("gate", "gates", GREY))
    lines = list(station.wiring.lines)
    for kind, label, colour in kinds:
        places = [n for n, line in enumerate(lines) if line.startswith(kind)]
        if not places:
            continue
        axes.plot([places[0] - 0.3, places[-1] + 0.3], [y, y], color=colour, linewidth=3)
        axes.text(sum(places) / len(places), y - 0.12, label, ha="center", va="top", fontsize=8)
