"""A sweep as a file: the procedure, what is swept, and the figure that shows it.

::

    name: adc_and_tile
    about: Accuracy against the bits of the converters, on tiles of three sizes.
    procedure: mnist.yaml
    over:
      - backends.sim.converters.adc.bits=2,4,6,8,10
      - array.rows+array.cols+array.tiles=64+64+7,128+128+4
    figure:
      kind: lines
      x: backends.sim.converters.adc.bits
      lines: array.rows+array.cols+array.tiles
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.yaml import read_yaml
from hwloop.sweep.grid import read_axis


class ChosenFigure(Settings):
    """Figure of one result: ``lines`` over ``x``, or a ``map`` of ``x`` and ``lines``.

    ``x``, ``lines``, ``panels``: axes of the sweep; the results of what is left are averaged.
    ``y``: the result, as it is named in the table of the sweep; where its table has ends of an
    interval, ``y_low`` and ``y_high``, they are error bars. ``labels``: of axes and values, in
    place of their own text. ``title``: of the figure.
    """

    kind: Literal["lines", "map"]
    x: str
    lines: str | None = None
    panels: str | None = None
    y: str = "infer.accuracy"
    labels: Mapping[str, str] = {}
    title: str = ""

    @model_validator(mode="after")
    def _two_axes(self) -> ChosenFigure:
        if self.kind == "map" and self.lines is None:
            raise ValueError("a map needs lines: the axis that goes up")
        return self

    def label(self, text: str) -> str:
        """Return the label of an axis or of a value."""
        return self.labels.get(text, text)


class SweepFile(Settings):
    """Settings of a sweep; ``over`` and ``set``: as ``--over`` and ``--set``.

    ``procedure``: path from the file. ``figure``: saved beside the figures of each setting.
    """

    name: str
    about: str = ""
    procedure: Path
    over: Annotated[tuple[str, ...], Field(min_length=1)]
    overrides: Annotated[tuple[str, ...], Field(alias="set")] = ()
    figure: ChosenFigure | None = None

    @model_validator(mode="before")
    @classmethod
    def _found(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("procedure"), str):
            return data
        path = (folder_of(info) / data["procedure"]).resolve()
        if not path.is_file():
            raise ValueError(f"there is no procedure {path}")
        return {**data, "procedure": path}

    @model_validator(mode="after")
    def _axes_of_the_sweep(self) -> SweepFile:
        keys = [read_axis(text).key for text in self.over]
        figure = self.figure
        for name in () if figure is None else ("x", "lines", "panels"):
            key = getattr(figure, name)
            if key is not None and key not in keys:
                raise ValueError(f"figure.{name}: {key} is not swept; there are {', '.join(keys)}")
        return self


def read_sweep_file(path: Path) -> SweepFile | None:
    """Return the sweep that a file describes; None where it has no ``over``: a procedure.

    Raises :class:`ConfigError` naming the setting that is wrong.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or "over" not in content:
        return None
    try:
        return SweepFile.parse(dict(content), folder=path.parent)
    except ConfigError as exc:
        raise exc.below("", file=str(path)) from None
