"""The report of a sweep: one page that stands alone, from what is in the folder."""

from __future__ import annotations

import csv
import hashlib
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from typer.testing import CliRunner, Result

from hwloop.errors import NotConverged, RecordError, Stopped
from hwloop.report.write import write_report
from hwloop.sweep import command, runner
from hwloop.sweep.manifest import read_manifest
from hwloop.sweep.point import Ended, SweepTask
from hwloop.sweep.report import write_sweep_report
from tests.hwloop.report.test_report import outline

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
BETA = "steps.0.settings.beta_per_a"
QUICK = ("--set", "steps.0.settings.max_updates=3")
CURRENT = "array.limits.current_a"
# A compliance of 1 pA makes every read of that point fail.
FAILING = ("--over", f"{CURRENT}=1 pA,3 mA", *QUICK)


def _sweep(folder: Path, *words: str) -> Result:
    app = typer.Typer()
    app.command()(command.sweep)
    return CliRunner().invoke(app, [str(PROCEDURE), "-o", str(folder), "--workers", "1", *words])


class Tables(HTMLParser):
    """The tables of a page: heading before it → rows of texts."""

    def __init__(self) -> None:
        super().__init__()
        self.heading = ""
        self.found: dict[str, list[list[str]]] = {}
        self._into: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"h1", "h2", "h3"}:
            self.heading = ""
            self._into = None
        if tag == "tr":
            self._into = []
            self.found.setdefault(self.heading, []).append(self._into)
        if tag in {"th", "td"} and self._into is not None:
            self._into.append("")

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into[-1] += data.replace("\N{NO-BREAK SPACE}", " ")
        elif self._into is None:
            self.heading += data

    def handle_endtag(self, tag: str) -> None:
        if tag in {"h1", "h2", "h3", "table"}:
            self._into = [] if tag != "table" else None


def _tables(page: str) -> dict[str, list[list[str]]]:
    parser = Tables()
    parser.feed(page)
    return parser.found


def _page(folder: Path) -> str:
    return (folder / "sweep-report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slopes, three seeds, half of it beyond the compliance."""
    folder = tmp_path_factory.mktemp("swept")
    shown = _sweep(
        folder, "--over", f"{BETA}=4e6,6e6", *FAILING, "--over", "seed=20:23", "--report"
    )
    assert isinstance(shown.exception, NotConverged)
    assert f"report: {folder / 'sweep-report.html'}" in shown.output
    return folder


def test_what_was_swept_is_told(swept: Path) -> None:
    told = dict(row for row in _tables(_page(swept))["What was swept"] if len(row) == 2)
    assert told["SHA-256 of its file"] == hashlib.sha256(PROCEDURE.read_bytes()).hexdigest()
    assert told["Backend"] == "sim"
    assert told[f"Over {BETA}"] == "4 × 10⁶ /A, 6 × 10⁶ /A"
    assert told[f"Over {CURRENT}"] == "1 pA, 3 mA"
    assert told["Over seed"] == "20, 21, 22"
    assert told["Points"] == "12"
    assert "6 of 12 points finished; 6 failed." in outline(_page(swept)).text


def test_the_table_has_the_mean_and_deviation_of_the_seeds(swept: Path) -> None:
    with (swept / "sweep.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["status"] == "completed"]
    errors = [float(row["train_manhattan.total_error"]) for row in rows if row[BETA] == "6e6"]
    head, *lines = _tables(_page(swept))["train_manhattan: at the end"]
    at = next(i for i, name in enumerate(head) if name.startswith("Total error"))
    assert head[:3] == [f"beta_per_a{BETA}", f"current_a{CURRENT}", "Finishedruns"]
    assert [line[:3] for line in lines] == [
        ["4 × 10⁶ /A", "1 pA", "0 of 3"], ["4 × 10⁶ /A", "3 mA", "3 of 3"],
        ["6 × 10⁶ /A", "1 pA", "0 of 3"], ["6 × 10⁶ /A", "3 mA", "3 of 3"],
    ]  # fmt: skip
    mean, deviation = statistics.mean(errors), statistics.stdev(errors)
    assert [line[at] for line in lines[2:]] == ["—", f"{mean:.4g} ± {deviation:.2g}"]


def test_what_no_point_changed_stands_once(swept: Path) -> None:
    same = {row[0]: row[1:] for row in _tables(_page(swept))["The same at every point"]}
    assert same["train_manhattan.epoch"] == ["3", "epoch, counted from 1"]
    assert same["train_manhattan.converged"][0] == "no"
    assert "train_manhattan.total_error" not in same


def test_failed_points_stand_with_their_reason(swept: Path) -> None:
    lines = _tables(_page(swept))["Points that did not finish"][1:]
    assert len(lines) == 6
    assert lines[0][:3] == ["4 × 10⁶ /A", "1 pA", "20"]
    assert "StepError: train_manhattan: cell (0, 0) could not be measured" in lines[0][-1]


def test_the_folder_gives_the_page_that_the_sweep_wrote(swept: Path) -> None:
    written = _page(swept)
    again = swept / "again.html"
    assert write_sweep_report(swept, again).read_text(encoding="utf-8") == written


def test_links_lead_to_the_records_and_to_their_reports(swept: Path, tmp_path: Path) -> None:
    record = next(swept.glob("*.h5"))
    write_report(record, None)
    out = tmp_path / "a page with # in its place"
    out.mkdir()
    page = write_sweep_report(swept, out).read_text(encoding="utf-8")
    links = [out / unquote(link) for link in re.findall(r'href="([^"]*)"', page)]
    assert len(links) == 13
    assert all(link.is_file() for link in links)
    assert {link.resolve() for link in links} >= {path.resolve() for path in swept.glob("*.h5")}
    assert record.with_name(f"{record.stem}-report.html").resolve() in [p.resolve() for p in links]


def test_page_needs_no_network(swept: Path) -> None:
    seen = outline(_page(swept))
    assert len(seen.references) == 1  # the only setting with several values that finished
    assert all(reference.startswith("data:image/png;base64,") for reference in seen.references)
    assert not seen.tags & {"script", "link", "iframe"}


def test_the_command_of_the_page_makes_the_same_sweep(swept: Path, tmp_path: Path) -> None:
    manifest = read_manifest(swept)
    program, name, *words = shlex.split(manifest.command)
    assert (program, name) == ("hwloop", "sweep")
    words[words.index("-o") + 1] = str(tmp_path)
    app = typer.Typer()
    app.command()(command.sweep)
    CliRunner().invoke(app, [*words, "--workers", "1"])
    assert read_manifest(tmp_path).points == manifest.points
    assert {one.name for one in tmp_path.glob("*.h5")} == {one.name for one in swept.glob("*.h5")}
    assert outline(_page(swept)).text.count(manifest.command) == 1


def test_a_population_is_told_by_its_means(tmp_path: Path) -> None:
    words = ("--over", f"{BETA}=4e6,6e6", "--population", "7", *QUICK, "--report")
    assert _sweep(tmp_path, *words).exit_code == 0
    tables = _tables(_page(tmp_path))
    assert ["Arrays at every point", "7"] in tables["What was swept"]
    assert "one run for each combination of settings" in outline(_page(tmp_path)).text
    with (tmp_path / "sweep.csv").open(encoding="utf-8") as stream:
        errors = [float(row["train_manhattan.total_error"]) for row in csv.DictReader(stream)]
    lines = tables["train_manhattan: at the end"][1:]
    assert [line[-1] for line in lines] == [f"{error:.4g}" for error in errors]


def test_an_interrupted_sweep_is_reported_as_far_as_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(tasks: Sequence[SweepTask], options: runner.SweepOptions) -> Iterator[Ended]:
        yield from run_tasks(tasks[:2], options)
        raise Stopped("SIGINT")

    run_tasks = runner.run_tasks
    monkeypatch.setattr(runner, "run_tasks", stopping)
    shown = _sweep(tmp_path, *FAILING, "--over", "seed=1,2", "--over", f"{BETA}=6e6")
    assert isinstance(shown.exception, Stopped)
    with pytest.raises(RecordError, match=r"none of the 4 points has finished; .*=1 pA seed=1"):
        write_sweep_report(tmp_path, None)
    monkeypatch.undo()
    _sweep(tmp_path, "--over", "seed=1", *QUICK)
    monkeypatch.setattr(runner, "run_tasks", stopping)
    _sweep(tmp_path, "--over", "seed=1:6", *QUICK)
    write_sweep_report(tmp_path, None)
    assert "3 of 5 points finished; 2 did not run to the end." in outline(_page(tmp_path)).text
    lines = _tables(_page(tmp_path))["Points that did not finish"][1:]
    assert lines == [["4", "none", "not finished"], ["5", "none", "not finished"]]


def test_a_sweep_that_is_run_again_replaces_its_page(tmp_path: Path) -> None:
    _sweep(tmp_path, "--over", "seed=1", *QUICK, "--report")
    assert _sweep(tmp_path, "--over", "seed=1,2", *QUICK, "--report").exit_code == 0
    assert "2 of 2 points finished" in outline(_page(tmp_path)).text


def test_a_sweep_of_which_nothing_finished_has_no_page(tmp_path: Path) -> None:
    words = ("--over", "seed=1,2", *QUICK, "--set", f"{CURRENT}=1e-12", "--report")
    assert isinstance(_sweep(tmp_path, *words).exception, NotConverged)
    assert not (tmp_path / "sweep-report.html").exists()
    with pytest.raises(RecordError, match=r"none of the 2 points .*; seed=1: StepError: train_"):
        write_sweep_report(tmp_path, None)


def test_bad_folders_are_one_line_and_exit_code_7(swept: Path, tmp_path: Path) -> None:
    for folder, words in (
        (tmp_path, "is no folder of a sweep: there is no sweep.json in it"),
        (swept, "sweep-report.html: exists already; give --overwrite to replace it"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "hwloop.cli", "report", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7
        assert done.stderr.startswith(f"hwloop: {folder}")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not JSON", "does not describe a sweep: Expecting value"),
        ('{"format": "another"}', "does not describe a sweep: format: 'another'"),
    ],
)
def test_a_file_of_that_name_that_is_no_sweep_is_refused_and_kept(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(RecordError, match=words):
        write_sweep_report(tmp_path, None)
    shown = _sweep(tmp_path, "--over", "seed=1,2", *QUICK)
    assert isinstance(shown.exception, RecordError)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("sweep.json", text)]


def test_points_that_are_not_those_of_the_settings_are_refused(swept: Path, tmp_path: Path) -> None:
    text = (swept / "sweep.json").read_text(encoding="utf-8")
    (tmp_path / "sweep.json").write_text(text.replace("seed=20:23", "seed=20:22"))
    with pytest.raises(RecordError, match="lists 12 points, but its settings give 8"):
        write_sweep_report(tmp_path, None)
