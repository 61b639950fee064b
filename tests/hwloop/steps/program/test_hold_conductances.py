"""Cells that are set without a pulse: on the emulator, with its non-idealities, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Hold, PulseMap
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.errors import StepError, Unsupported
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.steps.array import Array
from hwloop.steps.program.hold_conductances import HOLD_CONDUCTANCES, HeldRow
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.effect import make_effects
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import emulated, results
from tests.emulated import DEVICE, Steps
from tests.hwloop.spy import SpyBackend, array_settings

VTEAM = {"model": "vteam", "r_on_ohm": 50.0, "r_off_ohm": 1000.0}
TARGET = np.array([[2e-3, 5e-3, None], [None, 1e-2, 2e-2]], dtype=object)


def held(*effects: dict[str, Any], conductance_s: np.ndarray) -> NonIdealDevice:
    """Cells that were at 50 µS, set to these conductances."""
    chosen = SimSettings.parse({"device": DEVICE, "effects": effects}).effects
    made = make_effects(chosen, conductance_s.shape, np.random.default_rng(1))
    cells = NonIdealDevice(Steps(np.full(conductance_s.shape, 5e-5)), made)
    cells.hold(conductance_s, np.ones(conductance_s.shape, dtype=np.bool_))
    return cells


@pytest.mark.parametrize("population", [None, 3])
def test_cells_are_at_their_targets_and_the_others_as_they_were(population: int | None) -> None:
    array = emulated(VTEAM, shape=(2, 3), population=population)
    before = array.backend._cells.conductance_s  # type: ignore[attr-defined]
    target = {"target": {"kind": "map", "map_conductance_s": TARGET.tolist()}}
    row = results(HOLD_CONDUCTANCES, target, array)[""][0]
    wanted = np.array(TARGET, dtype=np.float64)
    expected = np.where(np.isnan(wanted), before, wanted)
    np.testing.assert_allclose(row.conductance_s, expected, rtol=1e-12)
    assert np.all(row.rms_deviation_conductance_s < 1e-14)
    assert array.clock.now_s() == pytest.approx(12e-3)  # the read alone takes time, both polarities


@pytest.mark.parametrize("population", [None, 2])
def test_a_tile_without_a_target_does_not_count_in_the_deviation(population: int | None) -> None:
    """Tile 1 is left alone; of the three cells of tile 0 one is held 3 mS below its target."""
    bounds = {"effect": "state_bounds", "min_conductance_s": 1e-6, "max_conductance_s": 4e-3}
    settings = emulated(VTEAM, shape=(2, 3)).settings.model_copy(update={"tiles": 2})
    request = OpenRequest(settings, population, np.random.default_rng(3))
    sim = SimSettings.parse({"device": VTEAM, "effects": [bounds]})
    array = Array(open_sim(sim, request), settings, np.random.default_rng(4))
    target_conductance_s = np.full(array.backend.description.shape, np.nan)
    target_conductance_s[..., 0, 0, :] = 2e-3, 7e-3, 2e-3
    array.remember("map_network", HeldRow(target_conductance_s, np.empty(0), np.empty(0)))
    row = results(HOLD_CONDUCTANCES, {}, array)[""][0]
    expected_s = np.full(() if population is None else population, 3e-3 / np.sqrt(3))
    np.testing.assert_allclose(row.rms_deviation_conductance_s, expected_s)


def test_states_and_stuck_cells_act_on_what_is_held() -> None:
    conductance_s = np.array([[11e-6, 48e-6, 96e-6]])
    states = {"effect": "finite_states", "states": 3} | {
        "min_conductance_s": 0.0,
        "max_conductance_s": 1e-4,
    }
    shown = held(states, conductance_s=conductance_s).conductance_s
    np.testing.assert_allclose(shown, [[0.0, 5e-5, 1e-4]])
    stuck = {"effect": "stuck", "high_fraction": 1.0, "high_conductance_s": 2e-4}
    assert (held(stuck, conductance_s=conductance_s).conductance_s == 2e-4).all()


def test_bounds_of_the_cells_limit_what_is_held() -> None:
    bounds = {"effect": "state_bounds", "min_conductance_s": 2e-5, "max_conductance_s": 6e-5}
    shown = held(bounds, conductance_s=np.array([[1e-5, 4e-5, 9e-5]])).conductance_s
    np.testing.assert_allclose(shown, [[2e-5, 4e-5, 6e-5]])


def test_drift_begins_anew_where_a_cell_is_held() -> None:
    cells = held({"effect": "drift", "nu": 0.1}, conductance_s=np.array([[1e-4, 1e-4]]))
    cells.wait(99.0)
    cells.hold(np.array([[1e-4, 0.0]]), np.array([[True, False]]))
    np.testing.assert_allclose(cells.conductance_s, [[1e-4, 1e-4 * 100**-0.1]])
    cells.wait(99.0)
    np.testing.assert_allclose(cells.conductance_s[0, 0], 1e-4 * 100**-0.1)


def test_an_array_that_cannot_hold_refuses_in_one_line_that_names_program_verify() -> None:
    spy = SpyBackend()
    guard = Guard(spy, array_settings())
    hold = Hold(np.full((2, 4), 1e-5), np.ones((2, 4), dtype=np.bool_))
    for act in (guard.check, guard.hold, guard.perform):
        with pytest.raises(Unsupported, match=r"^cells are set .* program them by program_verify$"):
            act(hold)
    assert spy.asked == []


def test_a_hold_of_no_cell_is_an_error() -> None:
    array = emulated(VTEAM, shape=(2, 3))
    array.remember("map_network", results(HOLD_CONDUCTANCES, _everywhere(1e-2), array)[""][0])
    nothing = {"kind": "step", "column": "absent"}
    with pytest.raises(StepError, match="has no column 'absent'"):
        results(HOLD_CONDUCTANCES, {"target": nothing}, array)


def _everywhere(conductance_s: float) -> dict[str, Any]:
    return {"target": {"kind": "map", "map_conductance_s": [[conductance_s] * 3] * 2}}


@pytest.mark.parametrize(
    ("conductance_s", "addressed", "words"),
    [
        (np.array([[-1.0]]), np.array([[True]]), r"conductance_s at \(0, 0\) is -1, below 0 S"),
        (np.array([[np.nan]]), np.array([[True]]), "every entry must be finite"),
        (
            np.zeros((1, 2)),
            np.ones((2, 1)),
            r"addressed has shape \(2, 1\), conductance_s \(1, 2\)",
        ),
    ],
)
def test_a_hold_that_makes_no_sense_is_refused_with_its_place(
    conductance_s: np.ndarray, addressed: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Hold(conductance_s, addressed)


def test_a_run_records_what_was_held_and_a_replay_answers_it(tmp_path: Path) -> None:
    file = tmp_path / "hold.yaml"
    file.write_text(
        """
name: hold
about: Cells that are set.
seed: 1
array:
  rows: 2
  cols: 3
  limits: {positive_v: 1 V, negative_v: -1 V, read_v: 0.2 V, half_select_v: 0.5 V, current_a: 1 A,
    pulse_width_s: 1 s, pulse_energy_j: 1 J, pulses_per_device: 5}
  read: {read_v: 0.1 V}
backends: {sim: {device: {model: vteam}}}
steps:
  - step: hold_conductances
    settings: {target: {kind: map, map_conductance_s: [[2.0e-3, null, 3.0e-3], [4.0e-3, 5.0e-3, null]]}}
""",
        encoding="utf-8",
    )
    procedure, path = load_procedure(file), tmp_path / "run.h5"
    assert run_procedure(procedure, RunOptions("sim", path)).status == "completed"
    with Record(path) as record:
        holds = [one.operation for one in record.operations() if one.kind == "hold"]
        read_back = record.results("hold_conductances")["conductance_s"][0]
        assert not any(isinstance(one.operation, PulseMap) for one in record.operations())
    assert isinstance(holds[0], Hold)
    np.testing.assert_array_equal(holds[0].addressed, [[True, False, True], [True, True, False]])
    np.testing.assert_array_equal(holds[0].conductance_s, [[2e-3, 0, 3e-3], [4e-3, 5e-3, 0]])
    again = load_procedure(file, [f"backends.replay={{recording: {path}}}"])
    assert run_procedure(again, RunOptions("replay", tmp_path / "b.h5")).status == "completed"
    with Record(tmp_path / "b.h5") as record:
        found = record.results("hold_conductances")["conductance_s"][0]
    np.testing.assert_array_equal(found, read_back)
