"""The notebook runs from its first cell to its last, in a folder with nothing but its procedure."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from hwloop.record.reader import Record

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "first-look.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notebook_runs_and_shows_figures_tables_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    folder = tmp_path / "docs" / "notebooks"
    for source in (NOTEBOOK, ROOT / "procedures" / "manhattan_4x4.yaml"):
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made, not kept"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    shown = [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", ())
    ]
    assert shown.count("image/png") == 3
    assert shown.count("text/html") == 3
    records = sorted((folder / "runs").glob("*.h5"))
    with Record(records[-1]) as own:
        given = own.pulses_given()
    assert (given[1, 2], given.sum()) == (20, 20)
