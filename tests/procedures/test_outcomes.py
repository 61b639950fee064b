"""The table of how runs end: what counts as a failure, and what is run at all."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import outcomes
from benchmarks.outcomes import Outcomes, try_all


def _ended(code: int, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, "", said)


def test_runs_are_counted_by_their_exit_codes_and_the_first_error_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_seed = {
        "seed=1": _ended(0),
        "seed=2": _ended(6, "hwloop: did not converge"),
        "seed=3": _ended(5, "a warning\nhwloop: over-range\n"),
        "seed=4": None,
        "seed=5": _ended(0),
    }

    def hwloop(command: str, procedure: Path, station: Path, bound_s: float, *more: str) -> object:
        return _ended(2 * (station.stem == "small")) if command == "check" else by_seed[more[-1]]

    monkeypatch.setattr(outcomes, "_hwloop", hwloop)
    pairs = [(Path("p.yaml"), Path("small.yaml")), (Path("p.yaml"), Path("s.yaml"))]
    (found,) = try_all(pairs, times=5, bound_s=1, at_once=1)
    assert dict(found.ends) == {"completed": 2, "not converged": 1, "failed": 2}
    row = [cell.strip() for cell in found.row().split("|")[1:-1]]
    assert row[:6] == ["p", "s", "5", "2", "1", "2"]
    assert row[7] == "seed 3, exit 5: hwloop: over-range"


def test_station_is_asked_whether_it_can_before_anything_is_run() -> None:
    root = outcomes.ROOT
    station = root / "stations" / "virtual_4x4.yaml"
    assert not outcomes.possible(root / "procedures" / "form_8x8.yaml", station)
    assert outcomes.possible(root / "procedures" / "manhattan_4x4.yaml", station)


def test_row_of_runs_without_an_error_has_none() -> None:
    one = Outcomes(Path("p.yaml"), Path("s.yaml"))
    one.ends["completed"] += 1
    one.times_s.append(2.6)
    assert one.row() == "| p | s | 1 | 1 | 0 | 0 | 3 s | – |"
