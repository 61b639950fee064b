"""Notes and tags of runs, in a file beside the record."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from hwloop.errors import ConfigError, RecordError
from hwloop.record.comparison import differences
from hwloop.record.notes import add_note, notes_path, read_notes
from tests.command_line import hwloop

PROCEDURE = Path(__file__).parents[3] / "procedures/manhattan_4x4.yaml"


def test_notes_and_tags_come_back_in_order_and_a_tag_can_be_taken_off(tmp_path: Path) -> None:
    record = tmp_path / "run.h5"
    add_note(record, "r1", "good array, probe 3", tags=["good", "w3/d12"])
    add_note(record, "r1", "µA range\nsecond line", removed=["good"])
    notes = read_notes(record, "r1")
    assert [text for _, text in notes.texts] == ["good array, probe 3", "µA range\nsecond line"]
    assert notes.tags == ("w3/d12",)


def test_notes_of_a_run_are_not_those_of_another_that_has_its_name(tmp_path: Path) -> None:
    add_note(tmp_path / "run.h5", "r1", "of the first", tags=["good"])
    assert read_notes(tmp_path / "run.h5", "r2") == read_notes(tmp_path / "other.h5", "r1")


@pytest.mark.parametrize("tag", ["", "two words", "x" * 51, "a\nb"])
def test_tag_that_is_no_word_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(ConfigError, match="expected a word"):
        add_note(tmp_path / "run.h5", "r1", "", tags=[tag])
    assert not notes_path(tmp_path / "run.h5").exists()


def test_damaged_line_of_notes_is_named(tmp_path: Path) -> None:
    add_note(tmp_path / "run.h5", "r1", "one")
    with notes_path(tmp_path / "run.h5").open("a") as stream:
        stream.write('{"run_id": "r1", "nite": "two"}\n')
    with pytest.raises(RecordError, match="line 2 is no note"):
        read_notes(tmp_path / "run.h5", "r1")


def test_note_leaves_the_record_as_it_is_and_is_shown_listed_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "runs/run.h5"
    assert hwloop("run", PROCEDURE, "--seed", 22, "--out", path).returncode == 0
    copy = shutil.copyfile(path, tmp_path / "copy.h5")
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    assert hwloop("runs", path.parent, "--where", "tag=good").stdout == ""
    done = hwloop("note", path, "good array, probe 3", "--tag", "good")
    assert (done.returncode, done.stdout) == (0, f"noted in {notes_path(path)}\n")
    assert before == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
    assert differences(path, copy) == []
    shown = hwloop("show", path).stdout
    assert "tags         good\n" in shown
    assert "note         good array, probe 3 (" in shown
    for condition in ("tag=good", "note~'PROBE 3'", "tag!=bad"):
        assert "run.h5" in hwloop("runs", path.parent, "--where", condition).stdout
    assert hwloop("runs", path.parent, "--where", "tag!=good").stdout == ""
    assert hwloop("replay", path).returncode == 0
    hwloop("note", path, "--untag", "good")
    assert hwloop("runs", path.parent, "--where", "tag=good").stdout == ""


def test_note_without_a_text_or_a_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not HDF5")
    for arguments, words in (
        ((tmp_path / "text.h5", "hi"), "is no record or import"),
        ((tmp_path / "none.h5", "hi"), "there is no such folder or file"),
        ((tmp_path, "hi"), "is a folder; name a record in it"),
        ((tmp_path / "text.h5",), "say something"),
    ):
        done = hwloop("note", *arguments)
        assert done.returncode in {ConfigError.exit_code, RecordError.exit_code}
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["text.h5"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_note_in_a_folder_that_is_read_only_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RecordError, match="cannot be written"):
        add_note(tmp_path / "run.h5", "r1", "one")
