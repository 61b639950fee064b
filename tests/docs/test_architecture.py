"""The page on the architecture names every folder, and shows layers and walks as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import architecture, walk

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "hwloop", ROOT / "sim" / "hwloop_sim", ROOT / "drivers" / "hwloop_drivers")
ROW = re.compile(r"^\| `(hwloop[\w.]*)` \| (.+) \|$", re.MULTILINE)


def folders() -> set[str]:
    return {
        ".".join(file.parent.relative_to(source.parent).parts)
        for source in SOURCES
        for file in source.rglob("__init__.py")
    }


def test_every_folder_of_the_source_has_a_sentence_and_no_other_has() -> None:
    rows = ROW.findall(architecture.PAGE.read_text(encoding="utf-8"))
    named = [name for name, _ in rows]
    assert len(named) == len(set(named))
    assert set(named) == folders()
    for name, sentence in rows:
        assert sentence.endswith("."), name
        assert len(sentence.split()) >= 5, name


def test_picture_shows_every_room_of_every_package(tmp_path: Path) -> None:
    drawn = architecture.draw(tmp_path / "layers.png")
    files = {
        f"{source.name}.{entry.stem}"
        for source in SOURCES
        for entry in source.iterdir()
        if (entry.suffix == ".py" and entry.stem != "__init__") or (entry / "__init__.py").exists()
    }
    assert drawn == files
    assert (tmp_path / "layers.png").stat().st_size > 10_000
    assert architecture.PICTURE.exists()


def test_layers_of_the_picture_hold_every_measured_import() -> None:
    level = {
        f"{package}.{room}": height
        for package, stack in architecture.layers().items()
        for height, rooms in enumerate(reversed(stack))
        for room in rooms
    }
    imports = architecture.measured_imports()
    assert imports["hwloop.backend", "hwloop.array"] > 0
    for upper, lower in imports:
        if upper in level and lower in level and upper.split(".")[0] == lower.split(".")[0]:
            assert level[upper] > level[lower], (upper, lower)


def test_arrows_that_a_chain_stands_for_are_left_out() -> None:
    assert architecture.needed([("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")]) == {
        ("a", "b"),
        ("b", "c"),
        ("a", "d"),
    }


def test_page_walks_as_a_traced_run_does() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert page == architecture.with_walks(page, walk.tables()), "run `make architecture`"


@pytest.mark.parametrize(
    "value",
    [1.9375, -0.96875, "smua.source.levelv = 9.6875e-01", b"1.9375", {"a": [np.float64(1.9375)]}],
)
def test_a_number_is_found_in_whatever_carries_it(value: object) -> None:
    assert walk.carries(value, walk.FOLLOWED["amplitude"])
    assert not walk.carries(value, walk.FOLLOWED["conductance"])


def test_a_small_number_is_not_taken_for_another_small_one() -> None:
    assert not walk.carries(np.array([3.0e-6]), (3.125e-6,))
    assert walk.carries(np.array([3.0e-6, 3.125e-6]), (3.125e-6,))
