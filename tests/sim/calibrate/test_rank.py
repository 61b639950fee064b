"""Models are tried and ranked by what they predict."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError, Stopped
from hwloop_sim.calibrate import command
from hwloop_sim.calibrate.effort import Effort
from hwloop_sim.calibrate.method import FittedCalibration, Task
from hwloop_sim.calibrate.rank import NOT_TRIED, Candidate, alike, rank
from hwloop_sim.calibrate.run import calibrate, models
from hwloop_sim.calibrate.summary import advice


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy trains of one pulse that bend towards 3 µS."""
    rng = np.random.default_rng(4)
    path_conductance_s = 3e-6 - 2e-6 * np.exp(-np.arange(16) / 5)
    trains_conductance_s = path_conductance_s + 1e-8 * rng.normal(size=(6, 16))
    columns = {
        "cell": np.zeros(96),
        "train": np.repeat(np.arange(6), 16),
        "pulse": np.tile(np.arange(16), 6),
        "amplitude_v": np.ones(96),
        "width_s": np.full(96, 1e-3),
        "conductance_s": trains_conductance_s.ravel(),
    }
    path = tmp_path_factory.mktemp("rank") / "trains.h5"
    write_measurement(Measurement(kind="trains", title="t", source="s", columns=columns), path)
    return path


def test_only_the_models_that_are_named_are_tried(rising: Path) -> None:
    told: list[str] = []
    ranked = rank(
        Task("", [rising]),
        among=["soft_bounds", "pulse_table", "step_response"],
        progress=lambda one: told.append(one.model),
    )
    assert told == ["soft_bounds", "pulse_table", "step_response"]
    assert [one.error is None for one in ranked] == [False, False, True]
    assert ranked[0].error <= ranked[1].error  # type: ignore[operator]
    assert ranked[2].model == "soft_bounds"
    assert "none lowers the conductance" in ranked[2].reason


def test_without_a_model_all_are_tried_and_those_that_cannot_be_fitted_come_last(
    rising: Path,
) -> None:
    ranked = rank(Task("", [rising]))
    assert sorted(one.model for one in ranked) == models()
    fitted = [one for one in ranked if one.found is not None]
    assert {one.model for one in fitted} == {"pulse_response", "pulse_table", "step_response"}
    assert ranked[: len(fitted)] == fitted
    errors = [one.error for one in fitted if one.error is not None]
    assert errors == sorted(errors)
    # Trains of the same curve with 10 nS of noise in a range of 1.9 µS.
    assert errors[0] < 0.02
    assert all(one.reason for one in ranked[len(fitted) :])


def test_a_model_that_there_is_not_is_refused_before_any_is_fitted(rising: Path) -> None:
    with pytest.raises(ConfigError, match=r"'sotf_bounds' cannot be fitted.*'soft_bounds'"):
        rank(Task("", [rising]), among=["sotf_bounds", "pulse_table"])


def test_every_reason_is_given_once_where_the_data_suit_none(rising: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"soft_bounds: .*; team, vteam: .*no negative pulse in it: one"
    ):
        rank(Task("", [rising]), among=["soft_bounds", "team", "vteam"])


def test_models_for_which_no_time_is_left_are_named(rising: Path) -> None:
    asked = [False]

    def stop(_: Candidate) -> None:
        asked[0] = True

    ranked = rank(
        Task("", [rising], effort=Effort(stopped=lambda: asked[0])),
        among=["pulse_table", "step_response"],
        progress=stop,
    )
    assert ranked[0].model == "pulse_table"
    assert ranked[0].found is not None
    assert ranked[1].reason == NOT_TRIED


def test_models_that_predict_alike_are_both_named() -> None:
    def one(model: str, error: float | None) -> Candidate:
        return Candidate(model, None, error, "")

    assert alike([one("a", 0.020), one("b", 0.0205), one("c", 0.03), one("d", None)]) == ["a", "b"]
    assert alike([one("a", 0.020), one("b", 0.03)]) == []


def test_a_stopped_command_writes_nothing_and_offers_the_best(
    rising: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_task: Task, _named: list[str]) -> FittedCalibration:
        os.kill(os.getpid(), signal.SIGINT)
        return calibrate([rising], model="step_response")

    monkeypatch.setattr(command, "_best", interrupted)
    with pytest.raises(Stopped):
        command.calibrate([rising], out=tmp_path / "twin.yaml")
    assert list(tmp_path.iterdir()) == []
    said = capsys.readouterr().err
    assert "nothing was written; best so far, step_response" in said
    assert "--model step_response --seconds 20" in said


def test_several_cells_are_said_before_the_fit() -> None:
    assert "8 cells" in advice(8, None)[0]
    assert "--cell N, 0 to 7" in advice(8, None)[0]
    assert advice(8, 3) == advice(1, None) == []
