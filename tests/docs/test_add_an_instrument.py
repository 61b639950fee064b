"""The tutorial's package, made from its page, is found by hwloop and passes its own test."""

from pathlib import Path

from tests.docs.lab_package import made_from, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorials" / "add-an-instrument.md"


def test_instrument_of_the_tutorial_trains_the_array_and_passes_its_conformance_test(
    tmp_path: Path,
) -> None:
    package = made_from(PAGE, tmp_path)
    assert "acme_sw32" in run(package, "-m", "hwloop.cli", "list")
    procedure = str(ROOT / "procedures" / "manhattan_4x4.yaml")
    command = ["run", procedure, "--backend", "bench", "--station", "station.yaml"]
    said = run(package, "-m", "hwloop.cli", *command, "--out", "r.h5")
    assert "converged at epoch 23" in said
    assert "1 passed" in run(
        package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sw32.py"
    )
