"""Style of all figures: colours, axes in SI units, PNG files.

Figures are made without pyplot, so that nothing global is left behind and no display is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import RecordError
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
# M. Okabe and K. Ito, Color Universal Design (2008): distinct for every colour vision.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
SKY = "#56B4E9"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
BLACK = "#222222"
GREY = "#767676"
LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)

SEQUENTIAL = "cividis"
DIVERGING = "PuOr"
PNG_DPI = 150
_FOOTER_IN = 0.18
_FOOTER_SIZE = 7.0

_STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "figure.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of all figures instead of the user's matplotlib settings; then restore."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        cast("Any", mpl.rcParams).update(_STYLE)  # its keys are typed one by one
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure, size in inches, whose layout keeps its parts from overlapping."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


@dataclass(frozen=True)
class AxisScale:
    """Scale of an axis: ``values * factor`` are numbers of ``unit``, such as "nS"."""

    factor: float
    unit: str

    @classmethod
    def of(cls, values: FloatArray | Sequence[float], unit: str) -> AxisScale:
        """Return the scale whose SI prefix suits the largest finite magnitude of ``values``."""
        from matplotlib.ticker import EngFormatter

        magnitude = np.abs(np.asarray(values, dtype=np.float64))
        largest = float(magnitude[np.isfinite(magnitude)].max(initial=0.0))
        # The logarithm may be an integer less rounding error, as for 1e-9.
        power = 3 * math.floor((math.log10(largest) + 1e-12) / 3) if largest > 0 else 0
        power = min(max(power, min(EngFormatter.ENG_PREFIXES)), max(EngFormatter.ENG_PREFIXES))
        return cls(10.0**-power, f"{EngFormatter.ENG_PREFIXES[power]}{unit}")

    def label(self, quantity: str) -> str:
        """Return the label of the axis, such as ``"Conductance (nS)"``."""
        return f"{quantity} ({self.unit})"


@dataclass(frozen=True)
class SavedFigure:
    """File of a figure, with its title and caption."""

    path: Path
    title: str
    caption: str


def check_folder(folder: Path) -> None:
    """Raise :class:`RecordError` if a folder for figures is a file; it need not exist yet."""
    if folder.exists() and not folder.is_dir():
        raise RecordError(f"{folder}: is a file; pass a folder for the figures")


def save_figures(
    figures: Iterable[NamedFigure], folder: Path, *, origin: str, prefix: str = ""
) -> list[SavedFigure]:
    """Write each figure to ``<folder>/<prefix><name>.png``, in order, as soon as it is drawn.

    ``origin``: where its numbers come from, such as "measured", in the footer of each.
    ``folder`` is made when there is a figure. Raises :class:`RecordError` where a file exists
    already, and where ``folder`` is a file.
    """
    check_folder(folder)
    saved: list[SavedFigure] = []
    for item in figures:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{prefix}{item.name}.png"
        try:
            with path.open("xb") as stream, style():
                _save_with_footer(item.figure, stream, origin)
        except FileExistsError:
            raise RecordError(f"{path}: exists already; choose another folder") from None
        saved.append(SavedFigure(path, item.title, item.caption))
    return saved


def _save_with_footer(figure: Figure, stream: BinaryIO, text: str) -> None:
    """Write a figure as PNG with a line of text in a strip below it."""
    from matplotlib.transforms import Bbox

    width_in, height_in = figure.get_size_inches()
    footer = figure.text(
        1 - _FOOTER_IN / 2 / width_in,
        -_FOOTER_IN / 2 / height_in,
        text,
        ha="right",
        va="center",
        fontsize=_FOOTER_SIZE,
        color=GREY,
    )
    footer.set_in_layout(False)
    whole = Bbox([[0, -_FOOTER_IN], [width_in, height_in]])
    figure.savefig(stream, format="png", dpi=PNG_DPI, bbox_inches=whole)
    footer.remove()


def map_of(
    axes: Axes, values: FloatArray, *, cmap: str = SEQUENTIAL, span: tuple[float, float]
) -> AxesImage:
    """Draw (rows, columns) as coloured cells, row 0 on top; ``span``: ends of the colour scale."""
    low, high = span if span[0] < span[1] else (span[0] - 0.5, span[1] + 0.5)
    image = axes.imshow(
        values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def write_numbers(
    axes: Axes, image: AxesImage, texts: NDArray[np.str_], *, size: float = 8.0
) -> None:
    """Write a text into each cell of a map, dark on light colours and light on dark ones."""
    colours = image.to_rgba(np.asarray(image.get_array()))[..., :3]
    luminance = colours @ np.array([0.2126, 0.7152, 0.0722])
    for (row, col), text in np.ndenumerate(texts):
        ink = "#ffffff" if luminance[row, col] < 0.5 else "#111111"
        axes.text(col, row, str(text), ha="center", va="center", fontsize=size, color=ink)


def finite_span(values: FloatArray) -> tuple[float, float]:
    """Return the least and the largest finite value; (0, 0) if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def symmetric_span(values: FloatArray) -> tuple[float, float]:
    """Return a range equally wide on both sides of 0, for a map of signed values."""
    low, high = finite_span(values)
    reach = max(abs(low), abs(high))
    return -reach, reach


def whole_numbers(axes: Axes, *, x: bool = True, y: bool = False, at_most: int = 6) -> None:
    """Place ticks at whole numbers only, for an axis of counts."""
    from matplotlib.ticker import MaxNLocator

    if x:
        axes.xaxis.set_major_locator(MaxNLocator(at_most, integer=True))
    if y:
        axes.yaxis.set_major_locator(MaxNLocator(at_most, integer=True))


def thinned(count: int, *, at_most: int = 16) -> list[int]:
    """Return which of ``count`` positions get a tick: every one, or every 2nd, 5th, 10th, …"""
    steps = (factor * 10**power for power in range(12) for factor in (1, 2, 5))
    step = next(step for step in steps if count <= step * at_most)
    return list(range(0, count, step))


@dataclass(frozen=True)
class NamedFigure:
    """Figure of a report, with its file name without suffix, title and caption."""

    name: str
    title: str
    caption: str
    figure: Figure
