"""The command line as a user meets it: output, one-line errors, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from rich.table import Table

from hwloop.cli import main as cli
from hwloop.cli.printing import print_unbroken
from hwloop.record.reader import Record
from tests.command_line import hwloop, hwloop_process

REPOSITORY = Path(__file__).parents[3]
PROCEDURE = REPOSITORY / "procedures" / "manhattan_4x4.yaml"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "trained.h5"
    assert hwloop("run", PROCEDURE, "--out", path).returncode == 0
    return path


def test_the_shipped_procedure_converges_and_names_its_record(tmp_path: Path) -> None:
    done = hwloop_process("run", PROCEDURE, "--backend", "sim", "--out", tmp_path / "a.h5")
    assert done.returncode == 0
    assert "train_manhattan: converged at epoch 23" in done.stdout
    assert f"record: {tmp_path / 'a.h5'}" in done.stdout
    assert done.stderr == ""


def test_records_go_into_a_folder_under_names_of_their_own(tmp_path: Path) -> None:
    for _ in range(2):
        assert hwloop("run", PROCEDURE, "--out", tmp_path).returncode == 0
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2
    assert all(name.startswith("manhattan_4x4-") and name.endswith(".h5") for name in names)


def test_a_training_that_does_not_converge_is_a_result_with_its_own_exit_code(
    tmp_path: Path,
) -> None:
    done = hwloop("run", PROCEDURE, "--seed", 2, "--out", tmp_path / "a.h5")
    assert done.returncode == 6
    assert "did not converge in 50 updates" in done.stderr
    assert "status       completed" in hwloop("show", tmp_path / "a.h5").stdout


def test_a_population_reports_the_fraction_that_converged(tmp_path: Path) -> None:
    done = hwloop("run", PROCEDURE, "--population", 50, "--out", tmp_path / "a.h5")
    assert done.returncode == 0
    assert " of 50 arrays converged (" in done.stdout


def test_set_overrides_a_setting_and_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    done = hwloop("run", PROCEDURE, "--set", "steps.0.settings.max_updates=3", "--out", path)
    assert done.returncode == 6
    assert "did not converge in 3 updates" in done.stderr
    with h5py.File(path) as file:
        assert list(file["procedure/overrides"].asstr()) == ["steps.0.settings.max_updates=3"]
        resolved = json.loads(file["procedure/resolved"][()])
    assert resolved["steps"][0]["settings"]["max_updates"] == 3


def test_json_is_one_object_a_line_with_the_record_at_the_end(tmp_path: Path) -> None:
    done = hwloop("run", PROCEDURE, "--json", "--out", tmp_path / "a.h5")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    epochs = [event["epoch"] for event in events if event["event"] == "row" and not event["table"]]
    assert epochs == list(range(1, 24))
    end = {"event": "end", "status": "completed", "origin": "emulated"}
    assert events[-1] == end | {"record": str(tmp_path / "a.h5")}


def test_check_prints_operations_worst_voltages_pulses_and_duration() -> None:
    done = hwloop("check", PROCEDURE)
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    # 2 V on the selected cell leaves 1 V on the half-selected ones at V/2.
    assert "half-selected cell (V/2) 1 V 1.1 V" in words
    assert "highest pulse 2 V 2.2 V" in words
    assert "pulses per device 50 10000" in words
    # 50 x (8 cells x 50 ms + 16 cells x 2 x 1 ms + 6 ms) + 10 ms
    assert "at most 21.9 s" in words


def test_check_fails_where_its_own_table_exceeds_a_limit() -> None:
    endurance = REPOSITORY / "procedures" / "endurance_8x8.yaml"
    # A cycle is one pulse up and one down: 50,000 of them are just the 100,000 of a life.
    most = hwloop("check", endurance, "--set", "steps.0.settings.cycles=50000")
    assert (most.returncode, most.stderr) == (0, "")
    assert "endurance_8x8: valid." in most.stdout
    over = hwloop("check", endurance, "--set", "steps.0.settings.cycles=50001")
    assert over.returncode == 3
    assert "valid" not in over.stdout
    assert "pulses per device 100002 100000" in " ".join(over.stdout.split())
    assert "pulses per device: 100002 exceeds limits.pulses_per_device 100000" in over.stderr


def test_check_counts_pulses_beyond_all_machine_integers() -> None:
    endurance = REPOSITORY / "procedures" / "endurance_8x8.yaml"
    done = hwloop("check", endurance, "--set", f"steps.0.settings.cycles={2**62}")
    assert done.returncode == 3
    assert f"{2**63} exceeds limits.pulses_per_device 100000" in done.stderr


def test_check_counts_the_life_in_the_ledger_and_show_prints_it(tmp_path: Path) -> None:
    cells = [[0, 1, 9_960, 2e-3, 1], [3, 2, 7, 1e-6, 0]]
    entry = {"array": "W3-D12", "run": "first", "key": "1", "status": "completed"}
    entry |= {"ended_utc": "2026-01-01T00:00:00+00:00", "rows": 4, "cols": 4, "cells": cells}
    ledger = tmp_path / "W3-D12.life-virtual.jsonl"
    ledger.write_text(json.dumps(entry) + "\n")
    check = ("check", PROCEDURE, "--station", REPOSITORY / "stations" / "virtual_4x4.yaml")
    unnamed = hwloop(*check, "--out", tmp_path)
    assert unnamed.returncode == 0
    assert "warning: the array has no name (array.name)" in unnamed.stdout
    named = hwloop(*check, "--set", "array.name=W3-D12", "--out", tmp_path)
    assert named.returncode == 3
    # 9,960 so far and at most 50 of this run.
    assert "pulses per device: 10010 exceeds limits.pulses_per_device 10000" in named.stderr
    assert f"Ledger {ledger}: 9960 pulses of a cell at most; runs: 1." in named.stdout
    shown = " ".join(hwloop("show", "--ledger", ledger).stdout.split())
    assert "array W3-D12, 4 × 4" in shown
    assert "first completed 2026-01-01T00:00:00+00:00 2 9967 2.001 mJ 1" in shown
    assert "(0, 1) 9960 2 mJ 1 (3, 2) 7 1 µJ 0 (0, 0) 0 0 J 0" in shown
    assert hwloop("show", "--ledger", tmp_path).stdout == hwloop("show", "--ledger", ledger).stdout


def test_show_says_where_there_is_no_ledger(record: Path, tmp_path: Path) -> None:
    unnamed = hwloop("show", "--ledger", record)
    assert (unnamed.returncode, unnamed.stdout) == (2, "")
    assert "the array has no name (array.name)" in unnamed.stderr
    for place in (tmp_path, tmp_path / "x.life.jsonl"):
        missing = hwloop("show", "--ledger", place)
        assert missing.returncode == 7
        assert "there is no ledger of an array here" in missing.stderr


def test_check_leaves_nothing_behind(tmp_path: Path) -> None:
    assert hwloop_process("check", PROCEDURE, cwd=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_list_names_what_is_installed_with_a_line_each() -> None:
    words = " ".join(hwloop("list").stdout.split())
    assert "sim Emulated array or population" in words
    assert "train_manhattan In-situ training" in words
    assert "pulse_table A cell moves along a measured table" in words
    assert "shumilin2024_2V_50ms Spintronic cell potentiated by 2 V, 50 ms pulses" in words


def test_show_says_what_is_in_a_record(record: Path) -> None:
    words = " ".join(hwloop("show", record).stdout.split())
    assert "status completed" in words
    assert "train_manhattan: converged at epoch 23" in words
    assert "train_manhattan/conductance_s 23 4 × 4 S" in words
    assert "22 pulse" in words


def test_replay_is_identical_to_the_last_bit(record: Path) -> None:
    done = hwloop("replay", record)
    assert done.returncode == 0
    assert "identical to the last bit: 72 operations, 34 rows" in done.stdout


def test_replay_names_the_first_operation_that_differs(record: Path) -> None:
    done = hwloop("replay", record, "--set", "steps.0.settings.bit_1_v=0.09")
    assert done.returncode == 8
    # Read of the initial state, read of the first epoch, then its multiplication.
    assert "operation 2: multiply: voltage_v at (0, 3) is 0.09, in the record 0.1" in done.stderr


def test_run_answers_from_a_recording(record: Path, tmp_path: Path) -> None:
    done = hwloop(
        "run", PROCEDURE, "--backend", "replay", "--recording", record, "--out", tmp_path / "b.h5"
    )
    assert "converged at epoch 23" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["--set", "steps.0.settings.beta_per_b=1"],
            2,
            ["steps.0.settings.beta_per_b", "unknown key", "did you mean 'beta_per_a'"],
        ),
        (
            ["--set", "steps.0.settings.beta_per_a=fast"],
            2,
            ["beta_per_a", "'fast'", "expected a number of 1/A"],
        ),
        (["--set", "steps.0.settings.pulse.width_s=50 mV"], 2, ["pulse.width_s", "'mV'", "50 mV"]),
        (
            ["--set", "steps.0.settings.held_out_patterns=['00', '11']"],
            2,
            ["held_out_patterns", "2 bits an entry", "4 rows"],
        ),
        (
            ["--set", "steps.0.settings.patterns=['0001']"],
            2,
            ["steps.0.settings: 1 patterns but 6 outputs"],
        ),
        (["--set", "steps.0.settings.target_1=1.0"], 2, ["target_1", "1.0", "less than 1"]),
        (["--backend", "simm"], 2, ["no backend 'simm'", "did you mean 'sim'"]),
        (
            ["--set", "steps.0.step=train_manhatan"],
            2,
            ["steps.0.step", "did you mean 'train_manhattan'"],
        ),
        (
            ["--set", "backends.sim.device.calibration=shumilin2024_2V_500ms"],
            2,
            ["backends.sim.device.calibration", "did you mean 'shumilin2024_2V_50ms'"],
        ),
        (
            ["--set", "backends.sim.device.calibration=missing.h5"],
            2,
            ["missing.h5", "no such file"],
        ),
        (
            ["--set", "backends.sim.device.model=pulse_tabel"],
            2,
            ["backends.sim.device", "did you mean 'pulse_table'"],
        ),
        (
            ["--set", "steps.0.settings.patterns={file: missing.csv}"],
            2,
            ["patterns", "there is no file", "missing.csv"],
        ),
        (
            ["--set", "steps.0.settings.pulse.amplitude_v=2.5"],
            3,
            ["cell (0, 0)", "amplitude_v 2.5", "positive_v 2.2"],
        ),
        (
            ["--set", "array.limits.half_select_v=0.9"],
            3,
            ["half-selected (scheme V/2)", "1 V", "half_select_v 0.9"],
        ),
        (["--set", "steps.0.settings.pulse.width_s=10 ms"], 4, ["2 V and 50 ms", "10 ms"]),
        (
            ["--set", "array.limits.current_a=1 nA"],
            5,
            ["could not be measured", "limits.current_a"],
        ),
    ],
)
def test_bad_input_is_one_line_with_place_value_and_bound(
    arguments: list[str], code: int, words: list[str], tmp_path: Path
) -> None:
    done = hwloop("run", PROCEDURE, "--out", tmp_path / "a.h5", *arguments)
    assert done.returncode == code
    assert done.stderr.startswith("hwloop: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    # A run that failed on the way keeps its record; one that was refused leaves nothing.
    assert (tmp_path / "a.h5").exists() == (code == 5)


def test_error_of_a_command_is_one_line_in_a_process_of_its_own(tmp_path: Path) -> None:
    unknown = ("--set", "steps.0.settings.beta_per_b=1")
    done = hwloop_process("run", PROCEDURE, "--out", tmp_path / "a.h5", *unknown)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hwloop: ")
    assert "steps.0.settings.beta_per_b: unknown key" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_existing_output_is_refused_and_left_alone(record: Path) -> None:
    before = record.read_bytes()
    done = hwloop("run", PROCEDURE, "--out", record)
    assert done.returncode == 7
    assert "exists already" in done.stderr
    assert record.read_bytes() == before


def test_a_missing_or_broken_procedure_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in hwloop("run", tmp_path / "none.yaml").stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: a\nname: b\n", encoding="utf-8")
    done = hwloop("check", broken)
    assert done.returncode == 2
    assert f"{broken}: line 2: the key 'name' stands twice" in done.stderr


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    done = hwloop("show", damaged)
    assert done.returncode == 7
    assert done.stderr.startswith(f"hwloop: {damaged}: cannot be read as HDF5")


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    done = hwloop_process("run", PROCEDURE, "--backend", "nothing", "--debug")
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


def test_help_names_every_command() -> None:
    done = hwloop("--help")
    for command in ("run", "check", "list", "show", "replay", "report", "import"):
        assert command in done.stdout


def test_a_name_in_the_table_of_results_is_one_word_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "program_verify/figures/rms_error_after_wait_conductance_s"
    table = Table("result", "unit", box=None)
    table.add_row(name, "S")
    print_unbroken(table)
    assert f"{name}  S" in capsys.readouterr().out


def test_show_writes_out_what_a_foreign_record_would_do_to_the_terminal(
    record: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "forged.h5"
    forged.write_bytes(record.read_bytes())
    with h5py.File(forged, "r+") as file:
        for name in ("procedure", "host", "backend", "hwloop_version", "started_utc", "status"):
            file.attrs[name] = f"\x1b]0;{name}\x07[/red]"
        file["results/train_manhattan/epoch"].attrs["units"] = "\x1b[2J[/x]"
    done = hwloop("show", forged)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "procedure    \\x1b]0;procedure\\x07[/red], seed" in done.stdout
    assert "\\x1b[2J[/x]" in done.stdout


def test_an_error_writes_out_control_characters_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text('"\\x1b[2J": 1\nname: "[/red]\\x1b[31m"\n')
    done = hwloop("check", path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert "\\x1b[2J: unknown key" in done.stderr


@pytest.mark.parametrize(
    "option", [("--seed", 2**200), ("--seed", "9" * 5000), ("--population", 2**63)]
)
def test_a_number_beyond_64_bits_on_the_command_line_is_refused(
    option: tuple[str, object], tmp_path: Path
) -> None:
    done = hwloop("run", PROCEDURE, *option, "--out", tmp_path / "a.h5")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert option[0] in done.stderr
    assert not (tmp_path / "a.h5").exists()


def test_more_memory_than_there_is_ends_a_command_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hungry() -> None:
        raise MemoryError("Unable to allocate 8 TiB")

    monkeypatch.setattr(cli, "_add_commands", hungry)
    monkeypatch.setattr(sys, "argv", ["hwloop"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "hwloop: needs more memory than there is: Unable to allocate 8 TiB\n"
    )


_ON_ITS_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
ignored = sys.argv[1] == "nohup"
signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "hwloop.cli", "run", *sys.argv[2:]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX systems")
@pytest.mark.parametrize(
    ("started", "code", "status"), [("plainly", 130, "stopped"), ("nohup", 6, "completed")]
)
def test_run_whose_terminal_closes_is_stopped_in_order_or_goes_on(
    started: str, code: int, status: str, tmp_path: Path
) -> None:
    overrides = [
        *("--set", "steps.0.settings.max_updates=400"),
        *("--set", "steps.0.settings.target_1=0.999999"),
        *("--set", "array.limits.pulses_per_device=1000000"),
    ]
    record = tmp_path / "run.h5"
    command = [sys.executable, "-c", _ON_ITS_TERMINAL, started, str(PROCEDURE)]
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*command, "--out", str(record), *overrides], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while b"epoch" not in seen:
            seen += os.read(ours, 4096)
        os.close(ours)
        assert process.wait(120) == code, seen
    with Record(record) as kept:
        assert kept.status == status
        stopped = "stopped: SIGHUP" in [text for _, _, text in kept.log]
        assert stopped == (status == "stopped")
        epochs = kept.results("train_manhattan")["epoch"]
        assert epochs.tolist() == list(range(1, len(epochs) + 1))
        assert (len(epochs) == 400) == (status == "completed")


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams by a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_run_without_streams_is_recorded(closed: str, tmp_path: Path) -> None:
    record = tmp_path / "run.h5"
    command = [sys.executable, "-m", "hwloop.cli", "run", str(PROCEDURE), "--out", str(record)]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, check=False
    )
    assert done.returncode == 0
    with Record(record) as kept:
        assert kept.status == "completed"


def test_checked_procedure_is_told_in_an_encoding_that_lacks_its_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    done = hwloop_process("check", PROCEDURE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 \\xd7 4 array" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a working folder")
@pytest.mark.parametrize("arguments", [("run", PROCEDURE), ("check", "procedure.yaml")])
def test_working_folder_that_was_deleted_is_named_as_the_reason(
    arguments: tuple[object, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    command = [sys.executable, "-m", "hwloop.cli", *map(str, arguments)]
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "the working folder has been deleted: change to one that exists" in done.stderr
    assert "Traceback" not in done.stderr
