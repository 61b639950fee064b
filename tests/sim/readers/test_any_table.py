"""No reader ends in anything but a result or one line, whatever table or bytes it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwloop import plugins
from hwloop.datasets.explaining import explain
from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.errors import ConfigError

READERS: dict[str, Reader] = plugins.load_all(plugins.READERS)
GIVEN = {
    "amplitude_v": "1 V", "width_s": "1 ms", "unit": "S", "read_v": "0.1 V", "line": "bit",
    "program_v": "1 V", "erase_v": "-1 V",
}  # fmt: skip
NAMES = st.sampled_from(
    ("Time (s)", "Voltage (V)", "Current (uA)", "G (uS)", "R (ohm)", "Pulse #", "Cycle", "Cell",
     "Pulse width (ms)", "Gate (V)", "x", "", "V (A)", "I (MA)", "LRS (ohm)", "HRS (ohm)")
)  # fmt: skip
CELLS = st.one_of(
    st.floats(width=32).map(repr),
    st.integers(-3, 9).map(str),
    st.sampled_from(("", "NaN", "9.9e37", "x", "1,5", "2 mA", "#REF", "inf", "-")),
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    columns = draw(st.integers(1, 11))
    separator = draw(st.sampled_from((",", ";", "\t", " ")))
    row = st.lists(CELLS, min_size=columns, max_size=columns).map(separator.join)
    body = draw(st.lists(row, min_size=1, max_size=6))
    names = draw(st.lists(NAMES, min_size=columns, max_size=columns))
    head = [separator.join(names)] if draw(st.booleans()) else []
    return "\n".join([*head, *body]) + "\n"


def assert_results_or_lines(path: Path, options: TableOptions | None = None) -> None:
    source = DataFile(path, options)
    for name, reader in READERS.items():
        reason = reader.objection(source)
        assert "\n" not in reason, name
        if reason:
            continue
        try:
            extract = reader.read(source, {k: GIVEN[k] for k in reader.options if k in GIVEN})
        except ConfigError as exc:
            assert "\n" not in str(exc), name  # noqa: PT017
        else:
            assert isinstance(extract, Extract)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=tables())
def test_every_reader_of_any_table_ends_in_a_result_or_one_line(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert_results_or_lines(path)
    for line in explain(path, TableOptions()):
        assert "\n" not in line


@settings(max_examples=100, deadline=None)
@given(content=st.binary(min_size=1, max_size=200))
def test_every_reader_of_any_bytes_ends_in_a_result_or_one_line(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_bytes(content)
    assert_results_or_lines(path)


@settings(max_examples=60, deadline=None)
@given(
    text=tables(),
    role=st.sampled_from(("voltage_v", "current_a", "conductance_s", "time_s", "cell")),
    column=st.integers(0, 12),
)
def test_what_the_user_says_of_columns_ends_in_a_result_or_one_line(
    text: str, role: str, column: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert_results_or_lines(path, TableOptions(columns=((role, str(column)),)))
