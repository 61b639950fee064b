"""Every public class of the source has a name of its own."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("hwloop", "drivers/hwloop_drivers", "sim/hwloop_sim")
VIRTUAL = "sim/hwloop_sim/virtual/instruments/"
DRIVERS = "drivers/hwloop_drivers/instruments/"


def classes(root: Path) -> dict[str, list[str]]:
    """Return the files, relative to ``root``, that define each public class."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(file.relative_to(root).as_posix())
    return found


def one_instrument(files: list[str]) -> bool:
    """Return whether these are the driver and the virtual instrument of one model.

    Both are named after the model, and a station file names either by the same kind.
    """
    return len(files) == 2 and any(f.startswith(DRIVERS) for f in files) and any(
        f.startswith(VIRTUAL) for f in files
    )  # fmt: skip


def doubles(root: Path) -> dict[str, list[str]]:
    return {
        name: files
        for name, files in classes(root).items()
        if len(files) > 1 and not one_instrument(files)
    }


def test_no_two_public_classes_have_one_name() -> None:
    assert doubles(ROOT) == {}


def test_a_second_class_of_one_name_is_found_and_a_virtual_instrument_is_not(
    tmp_path: Path,
) -> None:
    for place in ("hwloop/a.py", "hwloop/b.py", f"{DRIVERS}acme_1.py", f"{VIRTUAL}acme_1.py"):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        name = "Acme1" if "acme" in place else "Scale"
        file.write_text(f"class {name}:\n    pass\n", encoding="utf-8")
    assert doubles(tmp_path) == {"Scale": ["hwloop/a.py", "hwloop/b.py"]}
