"""Figures of read noise: spectra and scatter."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_figure
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the spectra, then the relative scatter of the cells."""
    spectrum = record.results(label, "spectrum")
    derived = record.results(label, "figures")
    if not spectrum or not len(spectrum["read_v"]):
        return
    with plot.style():
        figure = plot.new_figure(6.0, 4.0)
        axes = figure.subplots()
        for colour, index in zip(plot.LINES, range(len(spectrum["read_v"])), strict=False):
            axes.loglog(
                spectrum["frequency_hz"][index, :-1],  # the last has no negative twin
                spectrum["density_per_hz"][index, :-1],
                color=colour,
                linewidth=0.9,
                label=f"{spectrum['read_v'][index]:g} V, f^−{spectrum['slope'][index]:.2f}",
            )
        axes.set_xlabel("Frequency (Hz)")
        axes.set_ylabel("S$_I$ / I² (1/Hz)")
        axes.legend()
        drawn = NamedFigure(
            "spectrum",
            "Noise spectrum",
            "Relative to the current, mean over the cells; the exponent is that of a straight line"
            " through the logarithms.",
            figure,
        )
        scatter = cumulative_figure(
            "scatter",
            "Read noise of the cells",
            "Standard deviation of the reads of a cell over its mean current.",
            {
                f"{read_v:g} V": values
                for read_v, values in zip(derived["read_v"], derived["relative_sigma"], strict=True)
            },
            quantity="σ / I",
            unit="",
            log=True,
        )
    yield drawn
    if scatter is not None:
        yield scatter
