"""The report: one page, self-contained, of every kind of record."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from hwloop.config import load_procedure
from hwloop.errors import RecordError
from hwloop.report import write_report
from hwloop.runner import RunOptions, run_procedure

FILE = Path(__file__).parents[2] / "procedures" / "manhattan_4x4.yaml"


def run(folder: Path, *overrides: str, population: int | None = None, seed: int = 22) -> Path:
    path = folder / "run.h5"
    options = RunOptions("sim", path, population=population, seed=seed)
    run_procedure(load_procedure(FILE, overrides), options)
    return path


def test_the_page_needs_no_network_and_says_how_it_ended(tmp_path: Path) -> None:
    written = write_report(run(tmp_path), None)
    page = written.html.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "converged at epoch 23" in page
    assert "176 in all, at most 22 on a device (limit 10000)" in page
    assert "10.1002/aelm.202300887" in page
    assert page.count("<figure>") == len(written.figures) == 7


def test_the_figures_are_pictures_of_a_readable_size(tmp_path: Path) -> None:
    for path in write_report(run(tmp_path), None).figures:
        with Image.open(path) as image:
            assert min(image.size) > 300
            # Something is drawn on it.
            assert len(image.convert("L").resize((200, 200)).getcolors(256) or []) > 5


@pytest.mark.parametrize("population", [1, 40])
def test_a_population_is_reported(population: int, tmp_path: Path) -> None:
    written = write_report(run(tmp_path, population=population), None)
    page = written.html.read_text(encoding="utf-8")
    assert f"of {population} arrays converged" in page
    assert ("epochs.png" in {path.name for path in written.figures}) == (population > 1)


@pytest.mark.parametrize(
    "overrides",
    [
        (
            "array.rows=1",
            "array.cols=2",
            "steps.0.settings.patterns=['1','0']",
            "steps.0.settings.outputs=['1','0']",
            "steps.0.settings.held_out_patterns=null",
        ),
        (
            "array.rows=12",
            "array.cols=20",
            f"steps.0.settings.patterns=['{'01' * 6}','{'0011' * 3}']",
            f"steps.0.settings.outputs=['{'10' * 5}','{'01' * 5}']",
            "steps.0.settings.held_out_patterns=null",
        ),
    ],
)
def test_arrays_of_other_sizes_are_drawn(overrides: tuple[str, ...], tmp_path: Path) -> None:
    assert len(write_report(run(tmp_path, *overrides), None).figures) == 6


def test_a_run_that_was_killed_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    source, cut = tmp_path / "run.h5", tmp_path / "cut.h5"

    class Snatch:
        def row(self, _label: str, row: object) -> None:
            if getattr(row, "epoch", None) == 5:
                shutil.copy(source, cut)

        def step_began(self, prepared: object) -> None: ...
        def event(self, event: object) -> None: ...
        def step_ended(self, label: str, outcome: object) -> None: ...

    run_procedure(load_procedure(FILE), RunOptions("sim", source), Snatch())
    page = write_report(cut, None).html.read_text(encoding="utf-8")
    assert "interrupted" in page
    assert "did not get to its end" in page


def test_existing_output_is_refused_and_replaced_only_when_asked(tmp_path: Path) -> None:
    record = run(tmp_path)
    page = write_report(record, None).html
    page.write_text("mine")
    with pytest.raises(RecordError, match="exists already; give --overwrite"):
        write_report(record, None)
    assert page.read_text() == "mine"
    write_report(record, None, overwrite=True)
    assert "converged" in page.read_text(encoding="utf-8")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_comes_from_files_is_escaped(tmp_path: Path) -> None:
    page = write_report(run(tmp_path, "about=<script>alert(1)</script>"), None).html
    assert "<script>" not in page.read_text(encoding="utf-8")
