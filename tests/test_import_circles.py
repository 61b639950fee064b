"""No file and no folder of the source imports in a circle.

Every import counts: those inside functions and those for type checking only, too. Between folders
the rule is that of import-linter's contract on siblings: what stands side by side in a folder,
files and folders alike, can be put in an order in which each imports only what comes before it.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import grimp
import pytest

PACKAGES = ("hwloop", "hwloop_drivers", "hwloop_sim")


def graph_of(*packages: str) -> grimp.ImportGraph:
    return grimp.build_graph(*packages, exclude_type_checking_imports=False, cache_dir=None)


def imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            yield module, imported


def circle(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return one circle of ``(importer, imported)``, its first name repeated at its end, or []."""
    order: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for importer, imported in pairs:
        order.add(importer, imported)
    try:
        order.prepare()
    except graphlib.CycleError as exc:
        found: list[str] = exc.args[1]
        return found
    return []


def sibling(module: str, package: str) -> str | None:
    """Return the child of ``package`` that ``module`` is or is in; "" holds all packages."""
    prefix = f"{package}." if package else ""
    if not module.startswith(prefix):
        return None
    return prefix + module.removeprefix(prefix).split(".")[0]


def circle_below(graph: grimp.ImportGraph, package: str) -> list[str]:
    """Return a circle between the children of ``package``, or []."""
    between = ((sibling(a, package), sibling(b, package)) for a, b in imports(graph))
    return circle((a, b) for a, b in between if a and b and a != b)


@pytest.fixture(scope="module")
def source() -> grimp.ImportGraph:
    return graph_of(*PACKAGES)


def test_no_file_imports_in_a_circle(source: grimp.ImportGraph) -> None:
    assert circle(imports(source)) == []


def test_no_folder_imports_in_a_circle_on_any_level(source: grimp.ImportGraph) -> None:
    folders = [module for module in source.modules if source.find_children(module)]
    assert len(folders) > len(PACKAGES)
    circles = {package: circle_below(source, package) for package in ("", *folders)}
    assert {package: found for package, found in circles.items() if found} == {}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``circling_lab`` with the folders ``low`` and ``high``, without a circle yet."""
    for folder in ("circling_lab", "circling_lab/low", "circling_lab/high"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "circling_lab/low/ground.py").touch()
    (tmp_path / "circling_lab/low/other.py").touch()
    (tmp_path / "circling_lab/high/roof.py").write_text("import circling_lab.low.ground\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "circling_lab"


@pytest.mark.parametrize(
    "back",
    [
        "import circling_lab.high.roof",
        "def later():\n    from circling_lab.high import roof",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from circling_lab.high import roof",
    ],
    ids=["at the top", "inside a function", "for type checking only"],
)
def test_a_circle_of_files_is_found_wherever_the_import_stands(lab: Path, back: str) -> None:
    assert circle(imports(graph_of("circling_lab"))) == []
    (lab / "low/ground.py").write_text(back + "\n")
    found = circle(imports(graph_of("circling_lab")))
    assert set(found) == {"circling_lab.low.ground", "circling_lab.high.roof"}


def test_a_circle_of_folders_is_found_where_no_files_circle(lab: Path) -> None:
    (lab / "low/other.py").write_text("import circling_lab.high.roof\n")
    graph = graph_of("circling_lab")
    assert circle(imports(graph)) == []
    assert set(circle_below(graph, "circling_lab")) == {"circling_lab.low", "circling_lab.high"}
