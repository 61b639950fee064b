"""HDF5 files from elsewhere: what they claim, link to, or do to the library that reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.settings import foreign_hdf5, hdf5_walk
from hwloop.settings.foreign_hdf5 import has_signature, open_foreign, refuse_damaged, trust, walk


def _file(path: Path, fill: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def _deep(file: h5py.File) -> None:
    file.create_group("/".join("g" * (hdf5_walk.MAX_LEVELS + 2)))


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset("v", layout)


def _repeated_text(file: h5py.File) -> None:
    """Make 600 entries that all name one text of 1 MiB, by 16 bytes each."""
    texts = file.create_dataset("t", shape=(600,), dtype=h5py.string_dtype())
    texts[0] = "x" * 2**20
    file.flush()
    descriptor, place = file.id.get_vfd_handle(), texts.id.get_offset()
    os.pwrite(descriptor, os.pread(descriptor, 16, place) * 600, place)


def _huge_chunk(file: h5py.File) -> None:
    file.create_dataset("c", shape=(3,), maxshape=(None,), chunks=(10**8,), dtype="f8")


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda f: f.update({"x": h5py.ExternalLink("/etc/passwd", "/x")}), "x: is a link to"),
        (lambda f: f.update({"x": h5py.SoftLink("/x")}), "x: is a soft link, to /x"),
        (
            lambda f: f.create_dataset(
                "e", shape=(9,), dtype="u1", external=[("/etc/passwd", 0, 9)]
            ),
            "e: has its data in another file, /etc/passwd",
        ),
        (_virtual, "v: has its data in other datasets"),
        (
            lambda f: f.create_dataset("s", shape=(10**9,), chunks=(1024,), dtype="f8"),
            r"s: claims the shape \(1000000000,\), 8000000000 bytes; a file of \d+ bytes may claim"
            " 536870912 in all",
        ),
        (
            lambda f: f.create_dataset("s", shape=(10**8,), dtype="f8", compression="gzip"),
            r"s: claims the shape \(100000000,\)",
        ),
        (_huge_chunk, r"a chunk of c: claims the shape \(100000000,\)"),
        (_deep, "lies more than 64 groups deep"),
        (_repeated_text, "text of t: claims"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_file_that_links_or_claims_is_refused_with_the_place(
    tmp_path: Path, fill: Callable[[h5py.File], object], words: str
) -> None:
    path = _file(tmp_path / "foreign.h5", fill)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: .*{words}"):
        refuse_damaged(path)


def test_sound_file_opens_and_errors_in_the_block_name_it(tmp_path: Path) -> None:
    path = _file(tmp_path / "sound.h5", lambda file: file.update({"g/x": np.arange(4.0)}))
    with open_foreign(path) as file:
        assert file["g/x"][2] == 2.0
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: .*absent"), open_foreign(path):
        raise KeyError("absent")


def test_claims_are_passed_by_where_the_reader_bounds_what_it_takes(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("huge", shape=(10**9,), chunks=(1024,), dtype="f8")
        file["small"] = np.arange(4.0)

    path = _file(tmp_path / "sparse.h5", fill)
    with open_foreign(path, claims=False) as file:
        assert file["small"][3] == 3.0
    with pytest.raises(ConfigError, match="huge: claims the shape"):
        refuse_damaged(path)


def test_group_that_holds_itself_is_walked_once(tmp_path: Path) -> None:
    path = _file(tmp_path / "ring.h5", lambda file: file.create_group("g").update({"self": file}))
    refuse_damaged(path)


def test_pipe_is_refused_without_being_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        refuse_damaged(tmp_path / "pipe.h5")


def test_signature_is_found_behind_a_user_block_and_not_in_a_text(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("epoch,current\n" * 999, encoding="utf-8")
    assert not has_signature(tmp_path / "text.h5")
    with h5py.File(tmp_path / "block.h5", "w", userblock_size=2048):
        pass
    assert has_signature(tmp_path / "block.h5")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.abort()", "stops the library that reads it"),
        ("import time; time.sleep(60)", "cannot be read within 1 s"),
        (
            "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass",
            "cannot be read within 0 s of processor time",
        ),
        ("print('[' * 9)", "stops the library that reads it"),
    ],
)
def test_file_that_crashes_or_holds_up_the_reading_process_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    path = _file(tmp_path / "fatal.h5", lambda file: file.create_group("g"))
    (tmp_path / "walk.py").write_text(script, encoding="utf-8")
    monkeypatch.setattr(hdf5_walk, "__file__", str(tmp_path / "walk.py"))
    is_slow = "sleep" in script
    monkeypatch.setattr(foreign_hdf5, "_LEAST_CPU_S", 0.25)
    monkeypatch.setattr(foreign_hdf5, "_WALL_PER_CPU", 4 if is_slow else 400)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: damaged: {words}"):
        refuse_damaged(path)


def test_walk_bounds_its_own_processor_time(tmp_path: Path) -> None:
    path = _file(tmp_path / "sound.h5", lambda file: file.create_group("g"))
    (tmp_path / "walk.py").write_text(
        Path(hdf5_walk.__file__)
        .read_text(encoding="utf-8")
        .replace(
            "        print(json",
            "        import resource\n        raise SystemExit("
            "resource.getrlimit(resource.RLIMIT_CPU)[0])\n        print(json",
        ),
        encoding="utf-8",
    )
    command = [sys.executable, str(tmp_path / "walk.py")]
    done = subprocess.run(command, input=json.dumps([40, True, str(path)]), text=True, check=False)
    assert 40 < done.returncode <= 60  # what was left, and what h5py had taken to be imported


def test_files_after_one_that_crashes_the_reading_process_are_walked_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        _file(tmp_path / f"{name}.h5", lambda file: file.create_group("g"))
        for name in ("first", "fatal", "last")
    ]
    (tmp_path / "walk.py").write_text(
        "import json, os, sys\n"
        "for path in json.load(sys.stdin)[2:]:\n"
        "    'fatal' in path and os.abort()\n"
        "    print('\"\"', flush=True)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(hdf5_walk, "__file__", str(tmp_path / "walk.py"))
    walk(paths)
    refuse_damaged(paths[0])
    refuse_damaged(paths[2])
    with pytest.raises(ConfigError, match=r"fatal\.h5: damaged"):
        refuse_damaged(paths[1])


def test_file_that_this_process_wrote_is_not_walked_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path / "own.h5", lambda file: file.create_group("g"))
    trust(path)
    (tmp_path / "walk.py").write_text("import os; os.abort()", encoding="utf-8")
    monkeypatch.setattr(hdf5_walk, "__file__", str(tmp_path / "walk.py"))
    refuse_damaged(path)
    with h5py.File(path, "a") as file:
        file["more"] = np.zeros(999)
    with pytest.raises(ConfigError, match="damaged"):
        refuse_damaged(path)
