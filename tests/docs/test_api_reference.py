"""What a lab's own package may import: listed on one page, and the pages keep to it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import api
from tests.docs.lab_package import made_from

ROOT = Path(__file__).parents[2]
PAGES = [  # that of the public names shows signatures, which are no programs
    *sorted(set((ROOT / "docs").rglob("*.md")) - {api.PAGE}),
    ROOT / "README.md",
]
LAB_PAGES = [
    ROOT / "docs/how-to/add-a-device-model.md",
    ROOT / "docs/tutorials/add-an-instrument.md",
]
BLOCK = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)
HEAVY = ("matplotlib", "scipy", "numba", "distributed", "lupa", "pyvisa", "serial", "rich")


def imports(code: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import of the three packages; "" is the module itself."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from (pair for pair in found if pair[0].split(".")[0] in api.PACKAGES)


def private(code: str, public: dict[str, frozenset[str]]) -> list[str]:
    """Return the imports of ``code`` that are not public."""
    return [
        f"{module}: {name or 'the module'}"
        for module, name in imports(code)
        if name not in public.get(module, ()) and (module, name) != ("hwloop", "")
    ]


@pytest.fixture(scope="module")
def public() -> dict[str, frozenset[str]]:
    return api.public_names()


def test_page_of_the_public_names_is_what_the_code_says() -> None:
    assert api.PAGE.read_text(encoding="utf-8") == api.page(), "run `make api`"


def test_every_public_name_can_be_imported_from_where_the_page_lists_it(
    public: dict[str, frozenset[str]],
) -> None:
    assert {"PulseMap", "Limits"} <= public["hwloop.array"]
    for module, names in public.items():
        loaded = importlib.import_module(module)
        assert [name for name in names if not hasattr(loaded, name)] == [], module


def test_public_names_stand_directly_below_their_package(
    public: dict[str, frozenset[str]],
) -> None:
    assert all(module.count(".") == 1 for module in public if module != "hwloop")


def test_every_public_class_and_function_is_explained(public: dict[str, frozenset[str]]) -> None:
    silent = []
    for module, names in public.items():
        for name in names:
            item = getattr(importlib.import_module(module), name)
            if getattr(item, "__module__", "").split(".")[0] not in api.PACKAGES:
                continue  # a type alias, which has no docstring
            if callable(item) and not item.__doc__:
                silent.append(f"{module}.{name}")
    assert silent == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_import_only_what_is_public(page: Path, public: dict[str, frozenset[str]]) -> None:
    for code in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert private(code, public) == []


def test_a_deep_import_is_told_from_a_public_one(public: dict[str, frozenset[str]]) -> None:
    code = "from hwloop.array import PulseMap\nfrom hwloop.array.operations import ReadMap\n"
    assert private(code, public) == ["hwloop.array.operations: ReadMap"]
    assert private("import hwloop.messages\n", public) == ["hwloop.messages: the module"]


def lint(package: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("page", LAB_PAGES, ids=lambda page: page.stem)
def test_the_linter_holds_a_labs_package_to_the_public_names(page: Path, tmp_path: Path) -> None:
    package = made_from(page, tmp_path)
    kept = lint(package)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    (package / "acme" / "deep.py").write_text("from hwloop.array.operations import PulseMap\n")
    broken = lint(package)
    assert broken.returncode == 1
    assert "acme.deep -> hwloop.array.operations" in broken.stdout


def test_importing_what_is_public_loads_no_heavy_library(
    public: dict[str, frozenset[str]],
) -> None:
    code = (
        f"import sys, {', '.join(sorted(public))}\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
