"""Two records compared: numbers that scipy gives too, figures, and a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstwobign

from hwloop.cli.printing import print_comparison
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import compare_records
from hwloop.record.reader import Record
from hwloop.statistics import ks_distance, ks_expected

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("records")
    paths = folder / "a.h5", folder / "b.h5"
    for seed, path in enumerate(paths):
        options = RunOptions("sim", path, population=20, seed=seed)
        run_procedure(load_procedure(PROCEDURE), options)
    return paths


def test_the_distance_is_that_of_scipy_and_its_size_that_of_the_kolmogorov_distribution() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = np.round(rng.normal(size=30), 1), np.round(rng.normal(size=47) + 0.3, 1)
        assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    scale = np.sqrt((30 + 47) / (30 * 47))
    assert ks_expected(30, 47)[0] == pytest.approx(kstwobign.mean() * scale, rel=1e-3)
    assert ks_expected(30, 47)[1] == pytest.approx(kstwobign.ppf(0.95) * scale, rel=1e-3)


def test_a_record_does_not_differ_from_itself(records: tuple[Path, Path]) -> None:
    for one in compare_records(records[0], records[0]):
        assert one.figures()["ks"] == 0


def test_two_seeds_differ_as_equal_distributions_do(records: tuple[Path, Path]) -> None:
    found = {one.name: one for one in compare_records(*records)}
    final = found["final_conductance_s"]
    with Record(records[0]) as record:
        assert final.figures()["median_first"] == np.median(record.array("final_conductance_s"))
    assert final.figures()["values_first"] == 20 * 16
    assert final.figures()["ks"] < 2 * final.figures()["ks_95"]
    assert len(found["train_manhattan.total_error"].first) > 1


def test_the_comparison_is_printed_and_drawn(
    records: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(*records, tmp_path / "figures")
    assert "final_conductance_s" in capsys.readouterr().out
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"final_conductance_s.png", "train_manhattan_total_error.png"} <= drawn
