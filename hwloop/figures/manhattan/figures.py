"""Figures of a Manhattan training: of one array, or of a population."""

from __future__ import annotations

from collections.abc import Iterator

from hwloop.figures.manhattan import array as manhattan_array
from hwloop.figures.manhattan import population as manhattan_population
from hwloop.figures.manhattan.data import Training, read_training
from hwloop.plotting.style import NamedFigure, style
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the training of the step ``label``, one figure after the other.

    Draws the available results: nothing if the record has no row of it, and no predictions if the
    run did not get to them.
    """
    training = read_training(record, label)
    if training is None:
        return
    of_one, of_many = manhattan_array.FIGURES, manhattan_population.FIGURES
    for draw in of_one if training.population is None else of_many:
        drawn = _drawn(draw, training)
        if drawn is not None:
            yield drawn


def _drawn(draw: manhattan_array.Draw, training: Training) -> NamedFigure | None:
    # Entered for each figure: a style held across a yield would leak into the caller.
    with style():
        return draw(training)
