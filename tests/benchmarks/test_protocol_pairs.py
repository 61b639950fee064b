"""What PyMeasure's own driver tests send is answered by the virtual instruments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.protocol_pairs import cases, failures

FOLDER = os.environ.get("HWLOOP_PYMEASURE_TESTS", "")
"""Their folder ``tests/instruments``, which their packages leave out."""

PAIRS = """
INIT = (":FORM:ELEM VOLT", None)
LINE = 2

def test_range_setter():
    with expected_protocol(Smu, [INIT, (":SENS:CURR:RANG 1E-3", None)]) as inst:
        inst.range = 1e-3

@pytest.mark.parametrize("level", (0.5, 1.5))
@pytest.mark.parametrize("name, header", [("volt", "VOLT"), ("nothing", "NOTHING")])
def test_level(level, name, header):
    with expected_protocol(Smu, [INIT, (f":SOUR:{header} {level}", None), (b"*IDN?", b"x")]):
        pass
"""


def test_pairs_are_read_with_their_constants_and_every_set_of_parameters(tmp_path: Path) -> None:
    module = tmp_path / "test_smu.py"
    module.write_text(PAIRS, encoding="utf-8")
    found = list(cases(module))
    assert [case.name for case in found] == ["test_range_setter"] + ["test_level"] * 4
    assert found[0].pairs == ((":FORM:ELEM VOLT", None), (":SENS:CURR:RANG 1E-3", None))
    assert [case.pairs[1][0] for case in found[1:]] == [
        ":SOUR:VOLT 0.5", ":SOUR:NOTHING 0.5", ":SOUR:VOLT 1.5", ":SOUR:NOTHING 1.5"
    ]  # fmt: skip


def test_values_are_read_from_the_driver_that_a_module_imports_them_from(tmp_path: Path) -> None:
    (tmp_path / "maker").mkdir()
    (tmp_path / "maker" / "smu.py").write_text("import os\nSHAPES = ['SIN', 'DC']", "utf-8")
    module = tmp_path / "tests" / "test_smu.py"
    module.parent.mkdir()
    module.write_text(
        "from maker.smu import SHAPES as ALL, Smu\n"
        "@pytest.mark.parametrize('shape', ALL)\n"
        "def test_shape(shape):\n"
        "    with expected_protocol(Smu, [(f':FUNC {shape}', None)]):\n"
        "        pass\n",
        encoding="utf-8",
    )
    assert [case.pairs[0][0] for case in cases(module)] == [":FUNC SIN", ":FUNC DC"]


def test_message_that_the_instrument_does_not_know_is_a_failure_that_names_it(
    tmp_path: Path,
) -> None:
    module = tmp_path / "test_smu.py"
    module.write_text(PAIRS, encoding="utf-8")
    failed = [f for case in cases(module) for f in failures("keithley_2400", case, settings={})]
    assert [f.message for f in failed] == [":SOUR:NOTHING 0.5", ":SOUR:NOTHING 1.5"]
    assert all("-113" in f.reason for f in failed)


@pytest.mark.skipif(
    not FOLDER, reason="HWLOOP_PYMEASURE_TESTS names no folder of PyMeasure's tests"
)
def test_every_pair_of_pymeasures_2400_is_answered_without_an_error() -> None:
    found = list(cases(Path(FOLDER) / "keithley" / "test_keithley2400.py"))
    assert len(found) > 50
    assert [f for case in found for f in failures("keithley_2400", case, settings={})] == []
