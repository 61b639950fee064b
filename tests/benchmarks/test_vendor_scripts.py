"""Scripts of a maker are loaded into the instrument that their folders name."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.vendor_scripts import first_error, kind_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("Series_2600/265xA/2657A_runCapLeak/runCapLeak.tsp", "keithley_2600b"),
        ("Series_2400_Graphical/2450-SMU/Other_Devices/solar_cell.tsp", "keithley_2450"),
        ("Series_3706A/DMM_Simple_Scan.tsp", "keithley_3706a"),
        ("Series_DMM6500/a.tsp", None),
    ],
)
def test_folders_name_the_kind_of_a_script(path: str, kind: str | None) -> None:
    found = kind_of(Path(path))
    assert (found and found[0]) == kind


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("scan.create('1A01:1A02')\nscan.execute()", ""),
        ("digio.trigger[2].mode = 1\nscan.trigger.arm.stimulus = 2\nscan.create('1A01')\n"
         "scan.execute()", ""),  # edges come from outside
        ("x = 1\nnothing.there()", "-286"),
        ("scan.scancount = 0", "1102"),
    ],
)  # fmt: skip
def test_first_error_of_a_script_is_told_and_none_where_it_runs(
    tmp_path: Path, script: str, said: str
) -> None:
    path = tmp_path / "a.tsp"
    path.write_text(script, encoding="utf-8")
    error = first_error(path, "keithley_707b", "", {})
    code = str(int(float(error.split()[0]))) if error else ""
    assert code == said


def test_script_that_needs_another_finds_what_that_one_defines(tmp_path: Path) -> None:
    (tmp_path / "current_sine_wave_define.tsp").write_text("function f() return 1 end", "utf-8")
    use = tmp_path / "current_sine_wave_use.tsp"
    use.write_text("print(f())", "utf-8")
    assert first_error(use, "keithley_2450", "", {"language": "tsp"}) == ""
