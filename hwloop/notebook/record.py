"""A record as a notebook shows it: a table of what it holds, xarray, pandas, figures."""

from __future__ import annotations

from html import escape
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from hwloop import plugins
from hwloop.errors import RecordError
from hwloop.messages import nearest
from hwloop.notebook import labelled
from hwloop.plotting.style import style
from hwloop.record.reader import Record

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure


class NotebookRecord(Record):
    """A record for scripts and notebooks; it may be of a run that is still in progress.

    ``record.to_xarray()`` needs xarray and ``record.to_pandas(label)`` pandas: the extra
    ``hwloop[notebook]``.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(Path(path), allow_running=True)

    def to_xarray(self) -> xr.DataTree:
        """Return maps and tables with units and named dimensions.

        ``/array``: conductances and pulses of each cell; ``/results/LABEL`` and
        ``/results/LABEL/TABLE``: the rows of each step. Times, settings and versions of the run
        are attributes of the root.
        """
        return labelled.tree(self)

    def to_pandas(self, label: str, table: str = "") -> pd.DataFrame:
        """Return the rows of a step's table; a column with axes of its own holds an array a row.

        The units of the columns are in ``frame.attrs["units"]``.
        """
        return labelled.frame(self, label, self._known(label, table))

    def figure(self, name: str | None = None) -> Figure:
        """Return a figure of the report by its name, such as ``"conductances"``; the first if none.

        Raises :class:`hwloop.errors.RecordError` that lists the names where there is no such one.
        """
        found: list[str] = []
        for entry in self.resolved["steps"]:
            if entry["label"] not in self.labels:
                continue
            draw = plugins.load(plugins.STEPS, entry["step"]).figures
            with style():
                for one in resolve_name(draw)(self, entry["label"]) if draw else ():
                    found.append(one.name)
                    if name in {None, one.name, f"{entry['label']}-{one.name}"}:
                        figure: Figure = one.figure
                        return figure
        if not found:
            raise RecordError(f"{self.path}: no step of it has figures")
        raise RecordError(
            f"{self.path}: no figure {name!r}{nearest(str(name), found)}; there are"
            f" {', '.join(found)}"
        )

    def _known(self, label: str, table: str) -> str:
        if label not in self.labels or table not in self.tables(label):
            there = [
                "/".join(part for part in (one, other) if part)
                for one in self.labels
                for other in self.tables(one)
            ]
            asked = "/".join(part for part in (label, table) if part)
            raise RecordError(
                f"{self.path}: no table {asked}{nearest(asked, there)}; there are"
                f" {', '.join(there) or 'none'}"
            )
        return table

    def _repr_html_(self) -> str:
        attrs = self.attrs
        rows = [
            ("run", attrs["run_id"]),
            ("procedure", attrs["procedure"]),
            ("status", f"{self.status}: {self.status_meaning}"),
            ("numbers", self.origin),
            ("array", " × ".join(map(str, self.shape))),
            ("operations", str(len(self))),
            ("duration", f"{self.duration_s:.4g} s"),
        ]
        for label in self.labels:
            outcome = self.outcome(label)
            rows.append((label, "has not ended" if outcome is None else outcome[1]))
            for table in self.tables(label):
                columns = self.units(label, table)
                shown = ", ".join(
                    name if unit == "1" else f"{name} ({unit})" for name, unit in columns.items()
                )
                rows.append((f"— {table or 'rows'}", shown))
        lines = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(str(text))}</td></tr>"
            for name, text in rows
        )
        return f"<table>{lines}</table>"

    def __repr__(self) -> str:
        return f"<Record {self.attrs['procedure']}, {self.status}, {self.path}>"
