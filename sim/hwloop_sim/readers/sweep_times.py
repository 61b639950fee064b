"""Times of sweeps that state none, from the rate at which the voltage was swept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop_sim.readers.tables import Table, quantity

OPTION = {"rate_v_per_s": "of a sweep without times: how fast its voltage was swept, V/s"}
"""Option of every reader of sweeps."""


def times_at_rate(
    table: DataTable, options: Mapping[str, str], voltage_v: Table, time_s: Table
) -> tuple[Table, list[str]]:
    """Return the times of one sweep, seconds, and a message on how they were found.

    ``voltage_v``: of its points, in order. ``time_s``: as the file states them, NaN where it has
    none. A point lasts as long as the step to it takes at the stated rate; one that repeats the
    voltage before it, as long as the median step. Raises :class:`ConfigError` for a rate that is
    not above 0, and for one beside times of the file.
    """
    if "rate_v_per_s" not in options:
        return time_s, []
    if np.isfinite(time_s).any():
        raise ConfigError("the file has times of its own: leave it out", key="rate_v_per_s")
    rate_v_per_s = quantity(table.path, options, "rate_v_per_s", "V/s")
    if not rate_v_per_s > 0:
        raise ConfigError(f"{rate_v_per_s:g} V/s: expected a rate above 0", key="rate_v_per_s")
    step_v = np.abs(np.diff(voltage_v))
    moved_v = step_v[step_v > 0]
    if not moved_v.size:
        raise ConfigError("its voltage does not change: no sweep", file=str(table.path))
    median_v = float(np.median(moved_v))
    still = int((step_v == 0).sum())
    step_v = np.where(step_v == 0, median_v, step_v)
    times_s = np.concatenate([[0.0], np.cumsum(step_v / rate_v_per_s)])
    repeated = f"; {still} repeated points last as long as the median step" if still else ""
    return times_s, [
        f"times from {rate_v_per_s:g} V/s as stated: {times_s[-1]:.4g} s in all,"
        f" {median_v / rate_v_per_s:.3g} s a step{repeated}"
    ]
