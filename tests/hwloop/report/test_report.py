"""The report of a run: one page that stands alone."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwloop import plugins
from hwloop.backend.kind import OpenRequest
from hwloop.errors import RecordError
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data, load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.writer import RecordWriter
from hwloop.report import write as report
from hwloop.report.html import heading_of
from hwloop.report.page import _kind
from hwloop.report.values import flat, quantity, result, setting
from hwloop.report.write import ReportFiles, write_report
from hwloop.settings.yaml import parse_yaml
from hwloop.steps.rows import Row

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


class Copying(Quiet):
    """Copies the record as it stands when a step begins: a run killed before its first row."""

    def __init__(self, source: Path, copy: Path) -> None:
        self._source, self._copy = source, copy

    def step_began(self, _prepared: object) -> None:
        shutil.copy(self._source, self._copy)


class Stopping(Quiet):
    """Stops the run at its third row."""

    rows = 0

    def row(self, _label: str, _row: Row) -> None:
        self.rows += 1
        if self.rows == 3:
            raise KeyboardInterrupt("SIGINT")


def run(
    path: Path,
    observer: Quiet | None = None,
    *,
    seed: int = 22,
    population: int | None = None,
    **changes: Any,
) -> Path:
    text = PROCEDURE.read_text(encoding="utf-8")
    data = parse_yaml(text)
    data.update(changes)
    procedure = from_data(data, folder=path.parent, text=changes.get("about", "") + text)
    run_procedure(procedure, RunOptions("sim", path, population, seed), observer)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("trained") / "run.h5")


def small() -> dict[str, Any]:
    """Changes to the procedure that make its figures quick to draw: two cells, two epochs."""
    data = parse_yaml(PROCEDURE.read_text(encoding="utf-8"))
    settings = data["steps"][0]["settings"]
    settings |= {"patterns": ["0", "1"], "outputs": ["0", "1"], "max_updates": 2}
    settings["held_out_patterns"] = ["0"]
    return {"array": {**data["array"], "rows": 1, "cols": 2}, "steps": data["steps"]}


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("brief") / "run.h5", **small())


@pytest.fixture(scope="module")
def beside(brief: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """The report of a copy of that record, beside it; not to be changed."""
    path = tmp_path_factory.mktemp("beside") / "mine.h5"
    shutil.copy(brief, path)
    return write_report(path, None)


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "page.html"
    return write_report(trained, out).html.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Open elements, references and text of a page; raises where elements are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attrs if name == "src"]
        if tag not in {"meta", "img", "br", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_outcome_stands_before_everything_else(page: str) -> None:
    text = outline(page).text
    assert text.index("converged at epoch 23") < text.index("The run is completed")
    assert text.index("every step came to its end") < text.index("Single-layer perceptron")


def test_page_needs_no_network(page: str) -> None:
    seen = outline(page)
    assert len(seen.references) == 7
    assert all(reference.startswith("data:image/png;base64,") for reference in seen.references)
    assert not seen.tags & {"script", "link", "iframe"}
    assert "url(" not in page
    assert "@import" not in page
    # Links that a reader may follow; nothing is fetched for them.
    assert set(re.findall(r'href="([^"]*)"', page)) == {"https://doi.org/10.1002/aelm.202300887"}


def test_run_is_told_with_its_counts(page: str, trained: Path) -> None:
    with Record(trained) as record:
        kinds, pulses = record.operation_kinds, record.array("pulses")
    assert pulses is not None
    words = f"{kinds.count('multiply')} multiply, {kinds.count('pulse')} pulse"
    assert words in page
    assert f"{pulses.sum()} in all; at most {pulses.max()} on a device" in page


def test_calibration_is_told_with_its_source(page: str) -> None:
    assert "A. Shumilin et al., Glassy Synaptic Time Dynamics" in page
    assert '<a href="https://doi.org/10.1002/aelm.202300887">' in page
    assert "51 values from 455.5 nS to 664.4 nS" in page


def test_settings_are_told_in_si_units(page: str) -> None:
    text = outline(page).text
    assert "pulse.width_s50 ms" in text
    assert "beta_per_a6 × 10⁶ /A" in text
    name = "device.shift.min_conductance_s"
    assert f"{name}10 nS" in text
    assert "half_select_v1.1 V" in text


def test_columns_are_told_with_their_meaning(page: str, trained: Path) -> None:
    with Record(trained) as record:
        meanings = record.meanings("train_manhattan", "predictions")
    assert meanings["prediction"] == "1, 0, or -1 for undecided; (..., neurons)"
    assert "<small>1, 0, or -1 for undecided</small>" in page
    assert page.count("<td>0  1  0  1</td>") == 1


def test_the_procedure_stands_at_the_end(page: str) -> None:
    assert "beta_per_a: 6e6" in page[page.index("The procedure as it was read") :]


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script> & \"y\" "
    path = run(tmp_path / "run.h5", about=hostile, **small())
    text = write_report(path, None).html.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;y&quot;") == 2
    outline(text)


def test_files_stand_beside_the_record_by_default(beside: ReportFiles) -> None:
    folder = beside.html.parent
    assert beside.html == folder / "mine-report.html"
    assert {figure.parent for figure in beside.figures} == {folder / "mine-figures"}
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in beside.figures)
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"mine.h5", "mine-report.html", "mine-figures"}


def test_a_folder_takes_the_page_under_its_usual_name(brief: Path, tmp_path: Path) -> None:
    assert write_report(brief, tmp_path).html == tmp_path / "run-report.html"


@pytest.mark.parametrize("name", ["page.html", "page-figures"])
def test_existing_output_is_refused_and_left_alone(brief: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RecordError, match=f"{name}: exists already"):
        write_report(brief, tmp_path / "page.html")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [(name, "mine")]


def test_overwriting_replaces_the_report_and_nothing_else(
    brief: Path, beside: ReportFiles, tmp_path: Path
) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "page-figures"
    page.write_text("old")
    shutil.copytree(beside.figures[0].parent, figures)
    (figures / beside.figures[0].name).write_bytes(b"old")
    (figures / "notes.txt").write_text("mine")
    again = write_report(brief, page, overwrite=True)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert again.figures[0] == figures / beside.figures[0].name
    assert again.figures[0].read_bytes().startswith(b"\x89PNG")
    assert (figures / "notes.txt").read_text() == "mine"


def test_nothing_is_left_of_a_report_that_could_not_be_written(
    brief: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "page", full)
    with pytest.raises(RecordError, match="No space left on device"):
        write_report(brief, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_run_killed_before_its_first_row_still_has_a_report(tmp_path: Path) -> None:
    copy = tmp_path / "killed.h5"
    run(tmp_path / "run.h5", Copying(tmp_path / "run.h5", copy))
    written = write_report(copy, None)
    text = outline(written.html.read_text(encoding="utf-8")).text
    assert written.figures == ()
    assert not (tmp_path / "killed-figures").exists()
    assert "train_manhattan: did not begin" in text
    assert "The run is interrupted: the process was killed" in text
    assert "1 (1 read)" in text


def test_a_stopped_run_says_so_and_shows_what_it_has(tmp_path: Path) -> None:
    path = run(tmp_path / "run.h5", Stopping())
    written = write_report(path, None)
    text = outline(written.html.read_text(encoding="utf-8")).text
    assert "train_manhattan: did not get to its end" in text
    assert "The run is stopped: stopped from outside" in text
    assert "row 3 of 3" in text
    assert "stopped: SIGINT" in text
    assert len(written.figures) == 6


def test_two_trainings_in_one_run_have_figures_of_their_own(tmp_path: Path) -> None:
    changes = small()
    (step,) = changes["steps"]
    changes["steps"] = [{**step, "label": "first"}, {**step, "label": "second"}]
    written = write_report(run(tmp_path / "run.h5", **changes), None)
    names = [figure.name for figure in written.figures]
    assert len(set(names)) == 14
    assert names[0] == "first-conductances.png"


def test_figures_are_pictures_with_something_on_them(beside: ReportFiles) -> None:
    for path in beside.figures:
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("L").resize((200, 200)).getcolors(256) or []) > 5


@pytest.mark.parametrize(("population", "many"), [(1, False), (40, True)])
def test_a_population_is_reported(population: int, many: bool, tmp_path: Path) -> None:
    changes = small()
    path = run(tmp_path / "run.h5", population=population, **changes)
    written = write_report(path, None)
    page = written.html.read_text(encoding="utf-8")
    assert f"of {population} arrays converged" in page
    assert f"{population} arrays of 1 × 2 cells" in page
    names = {figure.stem for figure in written.figures}
    assert ("convergence" in names) == many
    assert ("conductances" in names) != many


def test_a_missing_record_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no such file"):
        write_report(tmp_path / "none.h5", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.05, "s", "50 ms"),
        (1e-6, "s", "1 µs"),
        (1e-7, "S", "100 nS"),
        (6e6, "1/A", "6 × 10⁶ /A"),
        (2.5, "ohm", "2.5 Ω"),
        (6.35e-3, "S/V2", "6.35 mS/V²"),
        (1e-14, "m2/(V s)", "1 × 10⁻¹⁴ m²/(V s)"),
        (True, "", "yes"),
        (4, "", "4"),
        ([[0, 0, 1], [1, 0, 1]], "", "001 101"),
        ([1e-9, 3e-9, 2e-9], "S", "3 values from 1 nS to 3 nS"),
        ("all", "V", "all"),
    ],
)
def test_a_setting_is_written_with_the_unit_that_it_is_given(
    value: Any, unit: str, words: str
) -> None:
    assert setting(value, unit) == words


def test_a_report_of_programming_prints_conductances_in_siemens_and_times_in_seconds(
    tmp_path: Path,
) -> None:
    procedure = load_procedure(PROCEDURE.with_name("program_verify_1t1r_8x8.yaml"))
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    kind: Any = plugins.load(plugins.BACKENDS, "sim")
    with kind.open(procedure.backend_settings(kind), request) as backend:
        header = RunHeader("run", procedure, 0, None, backend.description, "emulated")
        writer = RecordWriter(tmp_path / "run.h5", header)
        writer.finish("completed", pulses=np.zeros((8, 8), dtype=np.int64))
    text = outline(write_report(writer.path, None).html.read_text(encoding="utf-8")).text
    for name, value in (
        ("target.levels.00.target_conductance_s", "20 µS"),
        ("target.levels.01.low_conductance_s", "65 µS"),
        ("algorithm.reset_to_conductance_s", "60 µS"),
        ("algorithm.set.width_s", "200 ns"),
        ("algorithm.set.gate.start_v", "2 V"),
        ("device.reset_floor_conductance_s", "21.2 µS"),
        ("device.min_conductance_s", "1 µS"),
        ("device.set_conductance_s_per_v2", "6.35 mS/V²"),
        ("device.tau_s", "20 ns"),
        ("pulse_width_s", "1 µs"),
    ):
        assert f"{name}{value}" in text


def test_a_setting_without_a_unit_is_shown_without_one_whatever_its_name() -> None:
    lines = flat({"pulse": {"width_s": 0.05, "target_conductance_s": 2e-6}}, {"pulse.width_s": "s"})
    assert dict(lines) == {"pulse.width_s": "50 ms", "pulse.target_conductance_s": "2e-06"}


def test_a_column_loses_the_suffix_of_its_own_unit_and_no_other() -> None:
    assert heading_of("row_error_ohm", "ohm") == "Row error"
    assert heading_of("rms_error_conductance_s", "S") == "Rms error conductance"
    assert heading_of("at_rail_v", "1") == "At rail v"


def test_a_long_list_is_cut_and_says_how_long_it_was() -> None:
    words = setting([[0, 1, 0, 1]] * 300, "")
    assert words.endswith("… (300 entries)")
    assert len(words) < 200


def test_a_result_of_a_population_is_its_median_and_extremes() -> None:
    assert result(np.arange(101) * 1e-9, "S") == "median 50 nS (0 S to 100 nS)"
    assert result(np.array([True] * 30 + [False] * 10), "1") == "30 of 40"
    assert result(np.full(20, np.nan), "S") == "nothing measured"
    assert result(np.float64(0.25), "1") == "0.25"
    assert result(np.array([-1, 1]), "1") == "-1  1"
    assert quantity(2.5e-12, "1") == "2.5 × 10⁻¹²"


def test_log_lines_of_a_kind_are_those_that_differ_in_numbers_and_cells() -> None:
    one = "saturated: 1 cell reached the end of the table after 50 pulses: cell (0, 1)"
    two = "saturated: 3 cells reached the end of the table after 50 pulses: cell (1, 1), …"
    assert _kind(one) == _kind(two)
    assert _kind(one) != _kind("compliance: 1 cell exceeded the current")


def test_many_warnings_of_a_kind_are_one_line(tmp_path: Path) -> None:
    changes = small()
    rng = np.random.default_rng(3)
    changes["array"] |= {"rows": 10, "cols": 10}
    changes["steps"][0]["settings"] |= {
        "patterns": rng.integers(0, 2, (12, 10)).tolist(),
        "outputs": rng.integers(0, 2, (12, 5)).tolist(),
        "held_out_patterns": None,
        "max_updates": 70,
        "beta_per_a": 1e6,
    }
    path = run(tmp_path / "run.h5", **changes)
    with Record(path) as record:
        saturated = [line for line in record.log if "saturated" in line[2]]
    text = outline(write_report(path, None).html.read_text(encoding="utf-8")).text
    assert len(saturated) > 3
    assert f"{len(saturated)} times, until {saturated[-1][0]}" in text
    assert len(re.findall("reached the end of", text)) == 1
