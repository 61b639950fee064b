"""Settings of all tests: where they find measured data, and what their processes share."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# Before NumPy is imported, here and in children: threads of small products cost more than they do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Hundreds of children import hwloop: it is compiled once, also where the environment forbids that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("hwloop", deadline=None)  # no test asserts a time
settings.load_profile("hwloop")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that are marked with ``torch`` where PyTorch is not installed."""
    if find_spec("torch") is not None:
        return
    skipped = pytest.mark.skip(reason="PyTorch is not installed: make test-torch")
    for item in items:
        if item.get_closest_marker("torch") is not None:
            item.add_marker(skipped)


@pytest.fixture(scope="session", autouse=True)
def _locks_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Locks on instruments are apart from those of other sessions on this computer."""
    os.environ["HWLOOP_LOCKS"] = str(tmp_path_factory.mktemp("locks"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of measured data sets: $HWLOOP_SHARED/data, else that beside this checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    data = Path(os.environ.get("HWLOOP_SHARED", beside)) / "data"
    if not data.is_dir():
        pytest.skip("measured data sets are not beside this checkout")
    return data
