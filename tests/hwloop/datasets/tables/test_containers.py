"""Workbooks, MATLAB, NumPy, HDF5, netCDF and databases give the arrays that were written."""

from __future__ import annotations

import gzip
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file, savemat

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from tests.old_workbook import container, old_workbook

TIMES = np.array([0.0, 0.5, 1.0])
STATES = np.array([1.25, 2.5, 3.75])


def table(path: Path, **options: object) -> DataTable:
    return DataFile(path, TableOptions(**options)).table  # type: ignore[arg-type]


def assert_columns(found: DataTable) -> None:
    (when,), (state,) = found.of_role("time_s"), found.of_role("conductance_s")
    np.testing.assert_array_equal(when.values, TIMES)
    np.testing.assert_array_equal(found.numbers(state), STATES / 1e6)


@pytest.mark.parametrize("form", ["vectors", "structure"])
def test_matlab_vectors_and_structures_are_columns(form: str, tmp_path: Path) -> None:
    data = {"t_s": TIMES, "g_uS": STATES[:, np.newaxis], "gain": 3.0}
    savemat(tmp_path / "m.mat", data if form == "vectors" else {"run": data})
    assert_columns(table(tmp_path / "m.mat"))


def test_npz_members_are_columns_and_a_matrix_has_columns_without_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", t_s=TIMES, g_uS=STATES)
    assert_columns(table(tmp_path / "a.npz"))
    np.save(tmp_path / "a.npy", np.stack([TIMES, STATES], axis=1))
    assert not table(tmp_path / "a.npy").has_header
    given = table(tmp_path / "a.npy", columns=(("time_s", "1"), ("conductance_s", "2")),
                  units={"conductance_s": "uS"})  # fmt: skip
    assert_columns(given)


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "s.mat"])
def test_truth_values_are_no_column(name: str, tmp_path: Path) -> None:
    data = {"t_s": TIMES, "g_uS": STATES, "done": TIMES > 0}
    if name.endswith("npz"):
        np.savez(tmp_path / name, **data)
    else:
        savemat(tmp_path / name, {"run": data} if name == "s.mat" else data)
    found = table(tmp_path / name)
    assert_columns(found)
    assert len(found.columns) == 2
    assert "done (truth values)" in found.notes[0]


def test_hdf5_arrays_of_a_folder_are_columns_with_their_units(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file.attrs["operator"] = "N"
        file["run/time"], file["run/conductance"] = TIMES, STATES
        file["run/time"].attrs["units"] = "s"
        file["run/conductance"].attrs["unit"] = "µS"
    found = table(tmp_path / "h.h5")
    assert_columns(found)
    assert found.metadata["operator"] == "N"


def test_records_of_hdf5_are_columns_by_their_fields(tmp_path: Path) -> None:
    rows = np.array(list(zip(TIMES, STATES, strict=True)), [("t_s", "f8"), ("g_uS", "f8")])
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["log"] = rows
    assert_columns(table(tmp_path / "h.h5"))


def test_netcdf_variables_are_columns_with_their_units(tmp_path: Path) -> None:
    with netcdf_file(tmp_path / "n.nc", "w") as file:
        file.createDimension("n", 3)
        for name, unit, values in (("time", "s", TIMES), ("conductance", "uS", STATES)):
            variable = file.createVariable(name, "f8", ("n",))
            variable[:] = values
            variable.units = unit
    assert_columns(table(tmp_path / "n.nc"))


def test_runs_of_a_qcodes_database_are_tables(tmp_path: Path) -> None:
    # Tables and columns as in qcodes.dataset.sqlite (version 9 of the schema), those read alone.
    with sqlite3.connect(tmp_path / "q.db") as base:
        base.execute("CREATE TABLE experiments (exp_id INTEGER)")
        base.execute("CREATE TABLE runs (run_id INTEGER, name TEXT, result_table_name TEXT)")
        base.execute("CREATE TABLE layouts (run_id INTEGER, parameter TEXT, label TEXT, unit TEXT)")
        base.execute("INSERT INTO runs VALUES (1, 'retention', 'results-1-1')")
        base.execute("INSERT INTO layouts VALUES (1, 'time', 'Time', 's'), (1, 'g', 'G', 'uS')")
        base.execute('CREATE TABLE "results-1-1" (id INTEGER, time REAL, g REAL)')
        rows = [(i, t, g) for i, (t, g) in enumerate(zip(TIMES, STATES, strict=True))]
        base.executemany('INSERT INTO "results-1-1" VALUES (?, ?, ?)', rows)
    base.close()
    assert_columns(table(tmp_path / "q.db"))
    assert table(tmp_path / "q.db").name == "run 1 retention"


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """Write cells as the parts of a workbook (ECMA-376, part 1), which is a ZIP of XML."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    of_office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {"xl/workbook.xml": "", "xl/_rels/workbook.xml.rels": ""}
    named, related, overridden = "", "", ""
    for n, (name, rows) in enumerate(sheets.items(), start=1):
        cells = ""
        for r, row in enumerate(rows, start=1):
            shown = "".join(
                f'<c r="{chr(64 + c)}{r}"><v>{value!r}</v></c>'
                if isinstance(value, float)
                else f'<c r="{chr(64 + c)}{r}" t="inlineStr"><is><t>{value}</t></is></c>'
                for c, value in enumerate(row, start=1)
            )
            cells += f'<row r="{r}">{shown}</row>'
        parts[f"xl/worksheets/sheet{n}.xml"] = (
            f'{head}<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        )
        named += f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>'
        related += f'<Relationship Id="r{n}" Type="{of_office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        overridden += (
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        )
    parts["xl/workbook.xml"] = (
        f'{head}<workbook xmlns="{main}" xmlns:r="{of_office}"><sheets>{named}</sheets></workbook>'
    )
    parts["xl/_rels/workbook.xml.rels"] = (
        f'{head}<Relationships xmlns="{package}/relationships">{related}</Relationships>'
    )
    parts["_rels/.rels"] = (
        f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="r1"'
        f' Type="{of_office}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    )
    parts["[Content_Types].xml"] = (
        f'{head}<Types xmlns="{package}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f"{overridden}</Types>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


CELLS: list[list[object]] = [
    ["Lab 3"],
    ["Time (s)", "G (uS)"],
    *([t, g] for t, g in zip(TIMES.tolist(), STATES.tolist(), strict=True)),
]


def test_sheets_of_a_workbook_are_tables_of_which_one_is_chosen(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="workbooks need python-calamine")
    one = workbook(tmp_path / "one.xlsx", {"Remarks": [["nothing here"]], "Data": CELLS})
    assert_columns(table(one))
    two = workbook(tmp_path / "two.xlsx", {"A": CELLS, "B": [["x"], [1.0], [2.0]]})
    with pytest.raises(ConfigError, match=r"holds several tables: 1 'A' .* 2 'B'"):
        table(two)
    assert_columns(table(two, sheet="1"))
    with pytest.raises(ConfigError, match="there is no sheet 'C'; there are: A, B"):
        table(two, sheet="C")


@pytest.mark.parametrize("decimal", ["", ","])
def test_numbers_that_a_sheet_holds_as_text_are_numbers(decimal: str, tmp_path: Path) -> None:
    texts = [
        [str(t), str(g).replace(".", decimal or ".")] for t, g in zip(TIMES, STATES, strict=True)
    ]
    path = workbook(tmp_path / "w.xlsx", {"S": [["Time (s)", "G (uS)"], *texts]})
    assert_columns(table(path, decimal=decimal))


def test_a_workbook_without_its_library_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    path = workbook(tmp_path / "one.xlsx", {"Data": CELLS})
    with pytest.raises(ConfigError, match=r"pip install 'hwloop\[excel\]'"):
        table(path)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "a.csv")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "1,2\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a picture"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), r"save it as \.xlsx or CSV"),
        (pickle.dumps([1.0] * 50), "is a Python pickle"),
        (_tar, r"is an archive \(tar\)"),
        (_zip, r"is an archive \(ZIP\)"),
        (b"CDF\x01" + bytes(20), "damaged, or not of its kind|holds no columns"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "damaged, or not of its kind|holds no columns"),
        (b"PK\x03\x04" + bytes(90), "damaged"),
        (b"SQLite format 3\0" + bytes(90), "damaged, or not of its kind"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "damaged"),
        (gzip.compress(b"V,I\n1,2\n", mtime=0)[:-4], "Compressed file ended"),
    ],
)
def test_what_is_no_table_is_refused_with_what_it_is(
    content: object, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "measured.csv"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=words) as refusal:
        table(path)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_dataset_of_hwloop_is_not_imported_again(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.attrs["format"] = "hwloop-measurement"
    with pytest.raises(ConfigError, match="is a file of hwloop already"):
        table(tmp_path / "d.h5")


SWEEP = [["Time", "AI", "AV"], [0.0, 1e-6, 0.1], [0.5, 2e-6, 0.2], [1.0, 3e-6, 0.3]]
SETTINGS = [["Master/Slave", "Master", "N/A"], ["Start/Bias", 0.0, "N/A"], ["Stop", 5.0, "N/A"]]


def test_workbook_of_excel_97_gives_the_numbers_of_the_sheet_that_is_measured(
    tmp_path: Path,
) -> None:
    pytest.importorskip("python_calamine")
    (tmp_path / "a.xls").write_bytes(old_workbook({"Data": SWEEP, "Settings": SETTINGS}))
    found = table(tmp_path / "a.xls")
    (current,), (volts,) = found.of_role("current_a"), found.of_role("voltage_v")
    np.testing.assert_array_equal(found.numbers(current), [1e-6, 2e-6, 3e-6])
    np.testing.assert_array_equal(found.numbers(volts), [0.1, 0.2, 0.3])
    assert any("'Settings'" in note for note in found.notes)


def test_sheet_that_is_measured_as_well_or_is_longer_is_never_left_out(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    longer = [[float(i), 1.0, 2.0] for i in range(9)]
    for other in (SWEEP, longer):
        (tmp_path / "a.xls").write_bytes(old_workbook({"Run1": SWEEP, "Run2": other}))
        with pytest.raises(ConfigError, match=r"holds several tables.*'Run1'.*'Run2'"):
            table(tmp_path / "a.xls")


def test_document_in_the_container_of_an_old_workbook_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    pytest.importorskip("python_calamine")
    (tmp_path / "a.xls").write_bytes(container("WordDocument", b"Voltage 1 V"))
    with pytest.raises(ConfigError, match=r"no Excel workbook.*save it as \.xlsx or CSV"):
        table(tmp_path / "a.xls")


def test_easyexpert_lines_that_a_workbook_holds_are_rows_under_their_names(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    rows = [["DataName", " VF", " IF"], ["DataValue", -4.0, -5e-9], ["DataValue", -3.98, -4e-9]]
    (tmp_path / "a.xls").write_bytes(old_workbook({"Sheet1": rows}))
    found = table(tmp_path / "a.xls")
    (current,), (volts,) = found.of_role("current_a"), found.of_role("voltage_v")
    assert volts.values.tolist() == [-4.0, -3.98]
    assert current.values.tolist() == [-5e-9, -4e-9]
