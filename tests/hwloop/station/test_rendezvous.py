"""Files that runs believe: made for the user alone, and read only if nobody else could write them."""

import json
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop.station import rendezvous
from hwloop.station.rendezvous import leave_rendezvous, read_rendezvous, rendezvous_file

NOBODY = 65534
SAID = {"station": "s", "addresses": {"smu": "TCPIP::127.0.0.1::1::SOCKET"}, "control": "h:1"}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_and_its_folder_are_for_the_user_alone(runtime: Path) -> None:
    before = os.umask(0)
    try:
        path = rendezvous_file(Path("lab.yaml"))
        leave_rendezvous(path, SAID)
    finally:
        os.umask(before)
    assert path.parent == runtime / "hwloop"
    assert (_mode(path.parent), _mode(path)) == (0o700, 0o600)
    assert read_rendezvous(path) == SAID


def test_file_that_is_there_already_is_never_written_over() -> None:
    path = rendezvous_file(Path("lab.yaml"))
    leave_rendezvous(path, SAID)
    with pytest.raises(FileExistsError):
        leave_rendezvous(path, {"other": 1})
    assert read_rendezvous(path) == SAID


def test_of_many_that_leave_a_file_at_once_one_does() -> None:
    path = rendezvous_file(Path("lab.yaml"))
    start, left = threading.Barrier(8), []

    def leave(n: int) -> None:
        start.wait(10)
        try:
            leave_rendezvous(path, {"n": n})
            left.append(n)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=leave, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read_rendezvous(path)["n"]] == left


@pytest.mark.parametrize("leads_to", ["a file", "nothing"])
def test_link_is_neither_written_through_nor_followed(tmp_path: Path, leads_to: str) -> None:
    other = tmp_path / "other"
    if leads_to == "a file":
        other.write_text(json.dumps(SAID), "utf-8")
    path = rendezvous_file(Path("lab.yaml"))
    path.symlink_to(other)
    with pytest.raises(OSError):
        read_rendezvous(path)
    with pytest.raises(FileExistsError):
        leave_rendezvous(path, {})
    assert other.exists() == (leads_to == "a file")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_can_write_is_not_believed(mode: int) -> None:
    path = rendezvous_file(Path("lab.yaml"))
    leave_rendezvous(path, SAID)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="only you can write"):
        read_rendezvous(path)


@root
def test_file_of_another_user_is_not_believed() -> None:
    path = rendezvous_file(Path("lab.yaml"))
    leave_rendezvous(path, SAID)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="only you can write"):
        read_rendezvous(path)


def test_fifo_holds_up_nobody() -> None:
    path = rendezvous_file(Path("lab.yaml"))
    os.mkfifo(path, 0o600)
    with pytest.raises(PermissionError):
        read_rendezvous(path)


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", "null", "[" * 10_000, '{"x": "' + "y" * (1 << 16) + '"}', "\xff"]
)
def test_file_that_no_virtual_bench_has_written_is_a_value_error(text: str) -> None:
    path = rendezvous_file(Path("lab.yaml"))
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(ValueError):
        read_rendezvous(path)


@pytest.mark.parametrize("made", ["link", "file", "open to all"])
def test_folder_that_is_not_ones_own_is_refused_with_what_to_do(
    runtime: Path, tmp_path: Path, made: str
) -> None:
    folder = runtime / "hwloop"
    match made:
        case "link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "elsewhere")
        case "file":
            folder.touch(mode=0o600)
        case "open to all":
            folder.mkdir()
            folder.chmod(0o777)
    with pytest.raises(ConfigError, match=r"folder of your own .*remove it"):
        rendezvous_file(Path("lab.yaml"))


@root
def test_folder_of_another_user_is_refused(runtime: Path) -> None:
    (runtime / "hwloop").mkdir(mode=0o700)
    os.chown(runtime / "hwloop", NOBODY, NOBODY)
    with pytest.raises(ConfigError, match="of your own"):
        rendezvous.rendezvous_files()


@pytest.mark.parametrize("why", ["shared", "not there"])
def test_runtime_folder_that_is_not_ones_own_is_left_for_the_temporary_one(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(rendezvous.tempfile, "gettempdir", lambda: str(tmp_path))
    if why == "shared":
        runtime.chmod(0o777)
    else:
        runtime.rmdir()
    path = rendezvous_file(Path("lab.yaml"))
    assert path.parent == tmp_path / f"hwloop-{os.geteuid()}"
    assert _mode(path.parent) == 0o700
