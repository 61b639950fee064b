"""Draw the layers and trace the walks of docs/explanation/architecture.md: `make architecture`.

The layers are those of the contracts in pyproject.toml, the arrows are the imports as measured.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grimp
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from benchmarks import walk
from hwloop.plotting.style import BLACK, BLUE, GREEN, GREY, VERMILION, new_figure, style

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "layers.png"
COLOURS = {"hwloop": BLUE, "hwloop_sim": GREEN, "hwloop_drivers": VERMILION}
TITLES = {
    "hwloop": "hwloop: the core",
    "hwloop_sim": "hwloop_sim: the emulator",
    "hwloop_drivers": "hwloop_drivers: real instruments",
}
BEGIN, END = "<!-- walk: made by `make architecture` -->", "<!-- end of walk -->"


PLACES = {  # across the width of a package, so that no arrow runs behind a room that it passes
    "hwloop.cli": 0.4,
    "hwloop.notebook": 0.75,
    "hwloop.forecast": 0.45,
    "hwloop.sweep": 0.64,
    "hwloop.catalogue": 0.1,
    "hwloop.figures": 0.27,
    "hwloop.report": 0.47,
    "hwloop.execution": 0.72,
    "hwloop.record": 0.5,
    "hwloop.procedure": 0.42,
    "hwloop.steps": 0.36,
    "hwloop.testing": 0.17,
    "hwloop.backend": 0.45,
    "hwloop.station": 0.6,
    "hwloop.array": 0.45,
    "hwloop.datasets": 0.45,
    "hwloop.disk": 0.06,
    "hwloop.file_lock": 0.16,
    "hwloop.statistics": 0.29,
    "hwloop.plugins": 0.42,
    "hwloop.settings": 0.58,
    "hwloop.terminal": 0.76,
    "hwloop.plotting": 0.91,
    "hwloop.errors": 0.3,
    "hwloop.messages": 0.48,
    "hwloop.types": 0.68,
    "hwloop_drivers.bench": 0.28,
    "hwloop_drivers.commands": 0.8,
    "hwloop_drivers.safety": 0.65,
    "hwloop_drivers.adapters": 0.11,
    "hwloop_drivers.station": 0.38,
    "hwloop_drivers.discovery": 0.87,
    "hwloop_drivers.instruments": 0.2,
    "hwloop_drivers.testing": 0.52,
    "hwloop_drivers.virtual_bench": 0.82,
    "hwloop_drivers.roles": 0.36,
    "hwloop_drivers.links": 0.36,
    "hwloop_drivers.child_process": 0.62,
    "hwloop_sim.commands": 0.7,
    "hwloop_sim.calibrate": 0.25,
    "hwloop_sim.virtual": 0.78,
    "hwloop_sim.devices": 0.16,
    "hwloop_sim.effects": 0.45,
    "hwloop_sim.emulator": 0.82,
    "hwloop_sim.cells": 0.45,
    "hwloop_sim.calibration": 0.24,
    "hwloop_sim.calibrations": 0.14,
    "hwloop_sim.compiled": 0.44,
    "hwloop_sim.circuit": 0.66,
    "hwloop_sim.readers": 0.88,
}


@dataclass(frozen=True)
class Room:
    """A folder or file directly below a package, with its place in the picture, inches."""

    name: str
    x: float
    y: float
    width: float
    height: float = 0.34

    @property
    def centre(self) -> float:
        """Return the horizontal middle."""
        return self.x + self.width / 2


def layers() -> dict[str, list[list[str]]]:
    """Return the layers of each package from the contracts, highest first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    return {
        contract["containers"][0]: [
            [name.strip() for name in layer.split("|")] for layer in contract["layers"]
        ]
        for contract in contracts
        if contract["type"] == "layers"
    }


def measured_imports() -> Counter[tuple[str, str]]:
    """Return how many files of one room import a file of another, rooms as ``package.room``."""
    graph = grimp.build_graph(*TITLES, exclude_type_checking_imports=False, cache_dir=None)
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = (_room(module), _room(imported))
            if pair[0] != pair[1]:
                found[pair] += 1
    return found


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def needed(arrows: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows that no chain of others stands for (the transitive reduction)."""
    below: dict[str, set[str]] = {}
    for upper, lower in arrows:
        below.setdefault(upper, set()).add(lower)

    def reach(name: str) -> set[str]:
        return below.get(name, set()).union(*map(reach, below.get(name, set())))

    return {
        (upper, lower)
        for upper, lowers in below.items()
        for lower in lowers
        if not any(lower in reach(other) for other in lowers - {lower})
    }


def draw(path: Path) -> set[str]:
    """Draw the picture, and return the rooms in it as ``package.room``."""
    stacks = layers()
    core = _stack("hwloop", stacks["hwloop"], left=0.3, bottom=0.35, width=9.4)
    top = 0.35 + _height(stacks["hwloop"]) + 1.15
    upper = {"hwloop_drivers": (0.3, 4.4), "hwloop_sim": (5.3, 4.4)}
    rooms = dict(core)
    for package, (left, width) in upper.items():
        rooms |= _stack(package, stacks[package], left=left, bottom=top, width=width)
    highest = top + max(_height(stacks[package]) for package in upper)
    with style():
        figure = new_figure(10.0, highest + 0.6)
        axes = figure.subplots()
        axes.set(xlim=(0, 10), ylim=(0, highest + 0.6))
        axes.axis("off")
        _frame(axes, "hwloop", 0.1, 0.15, 9.8, _height(stacks["hwloop"]) + 0.6)
        for package, (left, width) in upper.items():
            height = _height(stacks[package]) + 0.6
            _frame(axes, package, left - 0.2, top - 0.2, width + 0.4, height)
        imports = measured_imports()
        _draw_rooms(axes, rooms, imports)
        for package, (left, width) in upper.items():
            count = sum(
                number
                for (a, b), number in imports.items()
                if a.startswith(f"{package}.") and b.startswith("hwloop.")
            )
            _draw_crossing(axes, left + width / 2, top - 0.2, count)
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return set(rooms)


ROW_IN = 0.62


def _height(stack: list[list[str]]) -> float:
    return ROW_IN * len(stack) - (ROW_IN - 0.34)


def _stack(
    package: str, stack: list[list[str]], *, left: float, bottom: float, width: float
) -> dict[str, Room]:
    """Return the rooms of a package, its lowest layer at ``bottom``."""
    rooms = {}
    for level, names in enumerate(reversed(stack)):
        for index, name in enumerate(names):
            full = f"{package}.{name}"
            middle = left + width * PLACES.get(full, (index + 0.5) / len(names))
            wide = 0.085 * len(name) + 0.25
            rooms[full] = Room(name, middle - wide / 2, bottom + ROW_IN * level, wide)
    return rooms


def _frame(
    axes: Axes, package: str, left: float, bottom: float, width: float, height: float
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=COLOURS[package] + "12",
            edgecolor=COLOURS[package],
            linewidth=1.0,
        )
    )
    axes.text(
        left + 0.12,
        bottom + height - 0.1,
        TITLES[package],
        color=COLOURS[package],
        va="top",
        weight="bold",
    )


def _draw_rooms(axes: Axes, rooms: dict[str, Room], imports: Counter[tuple[str, str]]) -> None:
    for upper, lower in needed(pair for pair in imports if set(pair) <= rooms.keys()):
        if upper.split(".")[0] == lower.split(".")[0]:
            one, other = rooms[upper], rooms[lower]
            axes.add_patch(
                FancyArrowPatch(
                    (one.centre, one.y),
                    (other.centre, other.y + other.height),
                    arrowstyle="-|>",
                    mutation_scale=7,
                    color=GREY,
                    linewidth=0.7,
                    shrinkA=0,
                    shrinkB=0,
                    zorder=1,
                )
            )
    for name, room in rooms.items():
        colour = COLOURS[name.split(".")[0]]
        axes.add_patch(
            FancyBboxPatch(
                (room.x, room.y),
                room.width,
                room.height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor="white",
                edgecolor=colour,
                linewidth=1.0,
                zorder=2,
            )
        )
        middle = room.y + room.height / 2
        axes.text(room.centre, middle, room.name, ha="center", va="center", color=BLACK, zorder=3)


def _draw_crossing(axes: Axes, x: float, top: float, count: int) -> None:
    axes.add_patch(
        FancyArrowPatch(
            (x, top),
            (x, top - 0.55),
            arrowstyle="-|>",
            mutation_scale=12,
            color=BLACK,
            linewidth=1.4,
            shrinkA=0,
            shrinkB=0,
        )
    )
    axes.text(x + 0.12, top - 0.28, f"{count} imports, none back", va="center", color=BLACK)


def with_walks(text: str, tables: str) -> str:
    """Return the page with ``tables`` between its marks."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{tables}\n{END}", text)


def main() -> None:
    """Draw the picture and write the walks into the page."""
    draw(PICTURE)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_walks(page, walk.tables()), encoding="utf-8")


if __name__ == "__main__":
    main()
