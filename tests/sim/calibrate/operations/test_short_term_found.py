"""The short-term state that a record was made with is found in it, within its stated error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop_sim.calibrate.operations.calibrate import load_histories
from hwloop_sim.calibrate.operations.effects_found import effects_of
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.calibrate.operations.history import EmptyRecord, of_record

PROCEDURES = Path(__file__).parents[4] / "procedures"
TRUE = {"tau_s": 50e-3, "volatile": 0.9, "consolidation": 0.2}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A record of each procedure of plasticity, and one of trains on a cell without memory."""
    made = {}
    for name in ("relaxation_after_4x4", "paired_pulse_4x4", "pulse_response_4x4"):
        made[name] = tmp_path_factory.mktemp(name) / f"{name}.h5"
        procedure = load_procedure(PROCEDURES / f"{name}.yaml")
        run_procedure(procedure, RunOptions("sim", made[name]))
    return made


def check(found: FoundEffect, wanted: dict[str, float]) -> None:
    assert found.settings["effect"] == "short_term"
    for name, value in wanted.items():
        error = found.uncertainty[name]
        assert abs(found.settings[name] - value) < 3 * error, name
        assert error < 0.1 * value, name


def test_relaxation_gives_its_time_its_exponent_and_the_volatile_share(
    records: dict[str, Path],
) -> None:
    (found,) = effects_of([records["relaxation_after_4x4"]])
    check(found, {"tau_s": 50e-3, "beta": 0.7, "volatile": 0.9})
    assert "consolidation" not in found.settings


def test_paired_pulses_alone_give_time_share_and_consolidation(records: dict[str, Path]) -> None:
    (found,) = effects_of([records["paired_pulse_4x4"]])
    check(found, {"tau_s": 50e-3, "volatile": 0.9})
    assert found.settings["consolidation"] == pytest.approx(0.2, rel=0.15)
    assert "beta" not in found.settings


def test_a_record_of_plasticity_alone_is_no_history_of_a_device_model(
    records: dict[str, Path],
) -> None:
    with pytest.raises(EmptyRecord, match="of plasticity alone"):
        of_record(records["paired_pulse_4x4"])
    both = [records["pulse_response_4x4"], records["paired_pulse_4x4"]]
    (history,) = load_histories(both, cell=None)
    assert history.where == str(both[0])
