"""A sweep as a file: the procedure, what is swept, and the figure that shows it.

::

    name: adc_and_tile
    about: Accuracy against the bits of the converters, on tiles of three sizes.
    procedure: mnist.yaml
    over:
      - backends.sim.converters.adc.bits=2,4,6,8,10
      - array.rows+array.cols+array.tiles=64+64+7,128+128+4
      - key: backends.sim.effects
        values: {fresh: [], drifting: [{effect: drift, nu: 0.1}]}
    figure:
      kind: lines
      x: backends.sim.converters.adc.bits
      lines: array.rows+array.cols+array.tiles
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from hwloop.errors import ConfigError
from hwloop.settings.model import Settings, folder_of
from hwloop.settings.yaml import read_yaml
from hwloop.sweep.grid import read_axis, shown


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


class NamedAxis(Settings):
    """Axis whose values have names, by which figures and pages show them.

    Of settings that change together, joined by ``+`` in ``key``, each value is a list of one each.
    """

    key: str
    values: Annotated[Mapping[str, Any], Field(min_length=1)]

    @property
    def text(self) -> str:
        """The axis as ``--over`` takes it."""
        return f"{self.key}={','.join(json.dumps(value) for value in self.values.values())}"

    def labels(self) -> dict[str, str]:
        """Return the name of each value, by its text in tables."""
        values = read_axis(self.text).values
        return {shown(value): name for value, name in zip(values, self.values, strict=True)}


class SweepFile(Settings):
    """Settings of a sweep; ``over`` and ``set``: as ``--over`` and ``--set``.

    ``procedure``: path from the file. ``figure``: saved beside the figures of each setting.
    """

    name: str
    about: str = ""
    procedure: Path
    over: Annotated[tuple[str | NamedAxis, ...], Field(min_length=1)]
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
        keys = [read_axis(text).key for text in self.axes]
        figure = self.figure
        for name in () if figure is None else ("x", "lines", "panels"):
            key = getattr(figure, name)
            if key is not None and key not in keys:
                raise ValueError(f"figure.{name}: {key} is not swept; there are {', '.join(keys)}")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """Every axis as ``--over`` takes it."""
        return tuple(one if isinstance(one, str) else one.text for one in self.over)

    @property
    def labelled_figure(self) -> ChosenFigure | None:
        """The figure, with the names of values among its labels."""
        if self.figure is None:
            return None
        named = [one.labels() for one in self.over if isinstance(one, NamedAxis)]
        labels = {
            text: label for each in (*named, self.figure.labels) for text, label in each.items()
        }
        return self.figure.model_copy(update={"labels": labels})


def read_sweep_file(path: Path) -> SweepFile | None:
    """Return the sweep that a file describes; None for a procedure, which has steps of its own.

    Raises :class:`ConfigError` naming the setting that is wrong.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or not ({"over", "procedure"} & content.keys()):
        return None
    try:
        return SweepFile.parse(dict(content), folder=path.parent)
    except ConfigError as exc:
        raise exc.below("", file=str(path)) from None
