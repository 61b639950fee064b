"""The how-to's models, made from its page, are found by hwloop and pass their own test."""

import re
from pathlib import Path

import pytest

from tests.docs.lab_package import made_from, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-a-device-model.md"
PROCEDURE = str(ROOT / "procedures" / "manhattan_4x4.yaml")
NOT_CONVERGED = 6
RAMP = "{model: acme_ramp, spread: {threshold_v: {distribution: lognormal, sigma: 0.1}}}"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return made_from(PAGE, tmp_path)


def test_the_models_of_the_page_are_listed_and_pass_the_test_of_the_page(package: Path) -> None:
    listed = run(package, "-m", "hwloop.cli", "list")
    assert "acme_ramp" in listed
    assert "acme_counter" in listed
    said = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py")
    assert re.search(r"\b8 passed\b", said)


def test_they_are_trained_with_wires_and_effects_as_the_page_says(package: Path) -> None:
    (shown,) = re.findall(r"--set '(backends\.sim\.device=[^']+)'", PAGE.read_text("utf-8"))
    more = [
        "backends.sim.wires={row_ohm: 1}",
        "backends.sim.effects=[{effect: drift, nu: 0.01}, {effect: cycle_to_cycle, sigma: 0.1}]",
        "steps.0.settings.max_updates=2",
    ]
    for device in (shown, f"backends.sim.device={RAMP}"):
        sets = [word for setting in (device, *more) for word in ("--set", setting)]
        command = ["-m", "hwloop.cli", "run", PROCEDURE, *sets, "--out", "runs"]
        said = run(package, *command, code=NOT_CONVERGED)
        assert "did not converge in 2 updates" in said
