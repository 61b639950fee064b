"""What the figures of a pulse sweep are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.figures.pulse_sweep import carried_on, figures
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from tests.characterised import LIMITS

NAN = np.nan


def test_sweeps_that_ended_go_on_at_their_last_value_and_groups_are_joined() -> None:
    # Two groups of a cell each, two cycles, three levels; cell 1 ends early and once at once.
    rows = {
        "pulse": np.array([1, 2, 3, 1, 2, 1, 2, 1]),
        "cycle": np.array([1, 1, 1, 2, 2, 1, 2, 2]),
        "swept_v": np.array([1.0, 1.5, 2.0, 1.0, 1.5, 1.0, 1.5, 1.0]),
        "before_conductance_s": np.array(
            [[9, NAN], [8, NAN], [7, NAN], [9, NAN], [6, NAN], [NAN, 5], [NAN, 3], [NAN, 4]]
        ),
        "after_conductance_s": np.array(
            [[8, NAN], [7, NAN], [6, NAN], [6, NAN], [5, NAN], [NAN, NAN], [NAN, 2], [NAN, 3]]
        ),
    }
    volts, seen_conductance_s = carried_on(rows)
    np.testing.assert_array_equal(volts, [1.0, 1.5, 2.0])
    np.testing.assert_array_equal(seen_conductance_s[:, 0, 0], [8, 7, 6])
    np.testing.assert_array_equal(seen_conductance_s[:, 1, 0], [6, 5, 5])
    np.testing.assert_array_equal(seen_conductance_s[:, 0, 1], [5, 5, 5])
    np.testing.assert_array_equal(seen_conductance_s[:, 1, 1], [3, 2, 2])


def record(path: Path, *, cycles: int, population: int | None) -> Path:
    """A line sweep of 2 × 3 emulated cells that scatter."""
    settings = {
        "sweep": "line",
        "start_v": 1.4,
        "stop_v": 2.4,
        "step_v": 0.1,
        "gate_v": 4.0,
        "width_s": 2e-7,
        "begin": {"amplitude_v": 2.0, "width_s": 2e-7, "gate_v": 2.7},
        "cycles": cycles,
        "until_conductance_s": 15e-6,
    }
    procedure = from_data(
        {
            "name": "sweep",
            "seed": 6,
            "array": {
                "rows": 2,
                "cols": 3,
                "cell": "1T1R",
                "biasing": "1T1R",
                "limits": LIMITS | {"gate_v": 5.0},
                "read": {"read_v": 0.1},
            },
            "backends": {"sim": {"device": {"model": "one_transistor"}}},
            "steps": [{"step": "pulse_sweep", "settings": settings}],
        },
        folder=path.parent,
    )
    run_procedure(procedure, RunOptions("sim", path, population=population))
    return path


@pytest.mark.parametrize(("cycles", "population"), [(1, None), (3, None), (2, 4)])
def test_the_line_of_the_sweeps_is_the_median_of_the_cells_each_at_its_median(
    cycles: int, population: int | None, tmp_path: Path
) -> None:
    with Record(record(tmp_path / "run.h5", cycles=cycles, population=population)) as seen:
        drawn = {one.name: one.figure for one in figures(seen, "pulse_sweep")}
        rows = seen.results("pulse_sweep")
    assert list(drawn) == ["reset_paths", "reset_voltages", "reset_map"]
    left, right = drawn["reset_paths"].axes
    assert (left.get_yscale(), left.get_ylabel()) == ("log", "Conductance (S)")
    assert left.get_xlabel() == right.get_xlabel() == "Source-line voltage (V)"
    # At 2.4 V, or where a sweep has ended before: one value for each cycle and cell.
    last_conductance_s = np.empty((cycles, rows["after_conductance_s"][0].size))
    for row in np.argsort(rows["pulse"], kind="stable"):
        after_conductance_s = rows["after_conductance_s"][row].ravel()
        cycle = int(rows["cycle"][row]) - 1
        last_conductance_s[cycle, np.isfinite(after_conductance_s)] = after_conductance_s[
            np.isfinite(after_conductance_s)
        ]
    for axes in (left, right):
        x, y = axes.lines[0].get_data()
        np.testing.assert_allclose(x, 1.4 + 0.1 * np.arange(11))
        assert y[-1] == pytest.approx(np.median(np.median(last_conductance_s, axis=0)))
