"""The style of all figures, for the figures of a step.

A figure function takes a :class:`hwloop.record.Record` and yields :class:`NamedFigure`.
"""

from hwloop.plotting.style import NamedFigure, new_figure

__all__ = [
    "NamedFigure",
    "new_figure",
]
