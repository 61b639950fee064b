"""The record of a run that is killed at any write, rename or truncation of its file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.record import Record, RecordedOperation
from hwloop.settings.foreign_hdf5 import walk

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace, which shows and injects system calls"
)
CHANGING = (
    "openat,lseek,write,pwrite64,ftruncate,fallocate,sendfile,copy_file_range,link,rename,unlink"
)
RUN = """
import os, sys
from pathlib import Path
from hwloop.procedure.procedure import load_procedure
from hwloop.record.storage import columns
from hwloop.record.writer import RecordWriter
from hwloop.execution.observer import Quiet
from hwloop.execution.runner import RunOptions, run_procedure

class Telling(Quiet):
    rows = 0
    def row(self, label, row):
        self.rows += 1
        os.write(1, f"row {self.rows}\\n".encode())

done, write = 0, RecordWriter.operation
def operation(*args, **kwargs):
    global done
    write(*args, **kwargs)
    done += 1
    os.write(1, f"operation {done}\\n".encode())

RecordWriter.operation = operation
columns._MOST_PLANNED_ROWS = 1  # so that the file grows
columns._LEAST_BYTES = 2048
procedure = load_procedure(Path(sys.argv[1]), [f"steps.0.settings.max_updates={sys.argv[3]}"])
run_procedure(procedure, RunOptions("sim", Path(sys.argv[2]), 64, 1), Telling())
"""
PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


@dataclass
class Disk:
    """The files of a folder after some of the system calls of a trace."""

    folder: Path
    files: dict[str, bytearray] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)  # position of the latest file of a name

    def apply(self, call: str, text: str) -> bool:
        """Do what a traced call did; whether it changed a file of the folder."""
        if ">(deleted)" in text:  # one that another has replaced, before it is closed
            return False
        data = b""
        if call in ("write", "pwrite64"):
            before, quoted, after = text.split('"')
            text, data = before + after, bytes.fromhex(quoted.replace("\\x", ""))
        if call == "write":
            line = data.decode(errors="replace").strip() if text.startswith("1<") else ""
            self.told += [line] if re.match(r"(row|operation) \d+$", line) else []
            return False
        text = re.sub(r"(?:\\x[0-9a-f]{2})+", _unescaped, text)
        paths = [Path(path) for path in re.findall(r'[<"](/[^>"]*)[>"]', text)]
        names = [path.name for path in paths if path.parent == self.folder and ".h5" in path.name]
        if names:
            getattr(self, f"_{call}")(names, text, data)
        return bool(names)

    def _openat(self, names: list[str], text: str, *_: object) -> None:
        self.at[names[0]] = 0
        if "O_TRUNC" in text:
            self.files[names[0]] = bytearray()
        elif "O_CREAT" in text:
            self.files.setdefault(names[0], bytearray())

    def _pwrite64(self, names: list[str], text: str, data: bytes) -> None:
        count, offset, written = map(int, re.findall(r", (\d+), (\d+)\)\s+= (\d+)", text)[0])
        assert count == written == len(data)
        file = self.files[names[0]]
        file.extend(bytes(max(0, offset - len(file))))
        file[offset : offset + len(data)] = data

    def _ftruncate(self, names: list[str], text: str, *_: object) -> None:
        length, file = int(re.findall(r">, (\d+)\)", text)[0]), self.files[names[0]]
        del file[length:]
        file.extend(bytes(length - len(file)))

    def _fallocate(self, names: list[str], text: str, *_: object) -> None:
        mode, offset, length = map(int, re.findall(r">, (\d+), (\d+), (\d+)\)", text)[0])
        assert mode == 0
        file = self.files[names[0]]
        file.extend(bytes(max(0, offset + length - len(file))))

    def _lseek(self, names: list[str], text: str, *_: object) -> None:
        self.at[names[0]] = int(re.findall(r"\)\s+= (\d+)", text)[0])

    def _sendfile(self, names: list[str], text: str, *_: object) -> None:
        target, source = names
        for start, end in re.findall(r"\[(\d+)\] => \[(\d+)\]", text):
            part, at = self.files[source][int(start) : int(end)], self.at[target]
            self.files[target].extend(bytes(max(0, at - len(self.files[target]))))
            self.files[target][at : at + len(part)] = part
            self.at[target] = at + len(part)

    def _link(self, names: list[str], *_: object) -> None:
        self.files[names[1]] = self.files[names[0]]

    def _rename(self, names: list[str], *_: object) -> None:
        self.files[names[1]] = self.files.pop(names[0])

    def _unlink(self, names: list[str], *_: object) -> None:
        self.files.pop(names[0], None)


def _unescaped(hexadecimal: re.Match[str]) -> str:
    return bytes.fromhex(hexadecimal[0].replace("\\x", "")).decode()


def _run(path: Path, *strace: str, updates: int = 12) -> subprocess.CompletedProcess[str]:
    python = [sys.executable, "-c", RUN, str(PROCEDURE), str(path), str(updates)]
    return subprocess.run([*strace, *python], check=False, capture_output=True, text=True)


def _states(folder: Path, updates: int) -> Iterator[tuple[str, Disk]]:
    """Trace a run; yield the disk after each call that changed it."""
    trace = folder / "trace"
    options = ("-f", "-y", "-xx", "-s", "1000000000", "-e", f"trace={CHANGING}", "-o", str(trace))
    run = _run(folder / "run.h5", "strace", *options, updates=updates)
    assert run.returncode == 0, run.stderr
    disk = Disk(folder)
    with trace.open() as lines:
        for line in lines:
            call = re.match(r"\d+\s+(\w+)\((.*)", line)
            if call and " = -1 " not in line and disk.apply(*call.groups()):
                yield call[1], disk
    assert bytes(disk.files["run.h5"]) == (folder / "run.h5").read_bytes(), "the trace is whole"


def _last(told: list[str], kind: str) -> int:
    return max((int(line.split()[1]) for line in told if line.startswith(kind)), default=0)


def _check(path: Path, told: list[str], reference: list[RecordedOperation]) -> str:
    """A killed file opens, and holds all that the run has told of; its status."""
    with h5py.File(path) as file:
        file.visititems(lambda _, item: [*item.attrs.values()] and None)
        file.visititems(
            lambda _, item: item[()] is None if isinstance(item, h5py.Dataset) else None
        )
    with Record(path) as record:
        done = _last(told, "operation")
        assert done <= len(record) <= done + 1
        for index in range(max(0, done - 2), len(record)):
            _assert_same(record.operation(index), reference[index])
        tables = [record.results("train_manhattan", table) for table in ("", "predictions")]
        rows = sum(len(table["activation"]) for table in tables if table)
        assert _last(told, "row") <= rows + 1  # the summary is a row too
        for table in tables:
            assert all(np.isfinite(c).all() for c in table.values() if c.dtype.kind == "f")
        assert record.log is not None
        return record.status


def _assert_same(one: RecordedOperation, other: RecordedOperation) -> None:
    assert (one.kind, one.array_time_s) == (other.kind, other.array_time_s)
    if one.reading is not None and other.reading is not None:
        assert one.reading.current_a.tobytes() == other.reading.current_a.tobytes()
    for name in vars(one.operation):
        assert np.array_equal(getattr(one.operation, name), getattr(other.operation, name))


def _undisturbed(path: Path, *, updates: int = 12) -> list[RecordedOperation]:
    """Return the operations of a run that nobody disturbs."""
    assert _run(path, updates=updates).returncode == 0
    with Record(path) as record:
        return list(record.operations())


def _distinct(folder: Path, updates: int) -> Iterator[tuple[str, Path, list[str]]]:
    """Write each file that a kill could leave: the last call before it, the file, what was told.

    Calls that change only a copy leave what is there, which is written once.
    """
    before: tuple[bytes, list[str]] = b"", []
    for number, (call, disk) in enumerate(_states(folder, updates)):
        if "run.h5" not in disk.files:
            assert not disk.told, "nothing is told of before the record exists"
            continue
        now = bytes(disk.files["run.h5"]), disk.told.copy()
        if now != before:
            path = folder / f"state{number}.h5"
            path.write_bytes(now[0])
            yield call, path, now[1]
        before = now


@pytest.mark.parametrize("updates", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_file_is_whole_after_each_single_system_call(tmp_path: Path, updates: int) -> None:
    reference = _undisturbed(tmp_path / "undisturbed.h5", updates=updates)
    states = list(_distinct(tmp_path, updates))
    walk([path for _, path, _ in states])  # in one process, not in one for each
    for _, path, told in states:
        status = _check(path, told, reference)
        assert status == "interrupted" or told[-1] == f"operation {4 + 3 * updates}"
    assert status == "completed"
    calls = [call for call, *_ in states]
    assert calls.count("pwrite64") > 25 * updates
    assert calls.count("rename") > 3
    print(f"{len(calls)} states")


@pytest.mark.slow
def test_file_is_whole_after_sigkill_at_chosen_system_calls(tmp_path: Path) -> None:
    """The same with a real kill on entry to the n-th call; every n with HWLOOP_KILL_EVERY=1."""
    reference = _undisturbed(tmp_path / "undisturbed.h5")
    every = int(os.environ.get("HWLOOP_KILL_EVERY", "23"))
    for call in ("pwrite64", "rename", "sendfile", "ftruncate", "link"):
        step = every if call == "pwrite64" else max(every // 8, 1)
        for number in range(1, 100000, step):
            path = tmp_path / f"{call}{number}.h5"
            inject = f"inject={call}:signal=KILL:when={number}"
            options = ("-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
            run = _run(path, "strace", *options)
            if run.returncode == 0:
                break
            told = run.stdout.splitlines()
            if path.exists():
                _check(path, told, reference)
            else:
                assert not told
        # How a copy and a cut are made is the C library's and HDF5's choice.
        assert number > 1 or call in {"sendfile", "ftruncate"}, f"{call} was never called"
