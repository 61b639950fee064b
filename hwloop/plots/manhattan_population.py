"""The figures of a population: N arrays trained with the same settings."""

from hwloop.plots.manhattan_table import table_figure

FIGURES = (table_figure,)
