"""What a record keeps of a multiplication by blocks: everything, the answers, or a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch, CellBlock, Keep, MovingWindow
from hwloop.array.operations import Flag, Reading
from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import RecordError, ReplayMismatch
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-9, "max_conductance_s": 1e-3}
BLOCKS = (CellBlock(0, 0, 0, 2, (0, 1, 2, 3)), CellBlock(0, 1, 2, 2, (0, 3)))
NOISE = {"effects": [{"effect": "white_noise", "fraction": 0.05}]}


def adc(*, bits: int) -> dict[str, Any]:
    """Converters of so many bits, with a range from the calibration."""
    return {"converters": {"adc": {"bits": bits, "range": {"kind": "calibrated", "margin": 0.1}}}}


ADC = adc(bits=8)


def asked(keep: Keep, scale: float = 1.0) -> list[BlockBatch]:
    """A calibration and three more batches, of which the last is over range for large scales."""
    images_v = np.random.default_rng(2).uniform(-0.1, 0.1, (4, 6, 1, 4, 3))
    images_v[3] *= scale
    return [
        BlockBatch(own_v, BLOCKS, 1, MovingWindow(2, 2), calibrate=index == 0, keep=keep)
        for index, own_v in enumerate(images_v)
    ]


def recorded(path: Path, sim: dict[str, Any], batches: list[BlockBatch]) -> list[Reading]:
    """Make a record of these batches on an emulated array, and return the answers."""
    array = ArraySettings.parse({"rows": 4, "cols": 4, "limits": LIMITS, "read": {"read_v": 0.1}})
    backend = open_sim(
        SimSettings.parse({"device": DEVICE, **sim}),
        OpenRequest(array, None, np.random.default_rng(3)),
    )
    writer = RecordWriter(
        path, RunHeader("blocks", load_procedure(FILE), 1, None, backend.description, "emulated")
    )
    recorder = Recorder(backend, writer)
    answers = [recorder.multiply_blocks(batch) for batch in batches]
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    return answers


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("sim", [{}, ADC, {**ADC, **NOISE}, adc(bits=4), adc(bits=11)])
@pytest.mark.parametrize("keep", ["all", "answers"])
def test_a_replay_answers_bit_for_bit(
    tmp_path: Path, keep: Keep, sim: dict[str, Any], scale: float
) -> None:
    answers = recorded(tmp_path / "a.h5", sim, asked(keep, scale))
    assert (answers[3].flags != 0).any() == (scale > 1 and "converters" in sim)
    with Record(tmp_path / "a.h5") as record:
        assert record.operation_kinds == ["blocks"] * 4
        replay = Replay(record)
        bits = sim["converters"]["adc"]["bits"] if "converters" in sim else None
        assert replay.description.code_bits == bits
        for batch, answer in zip(asked("all", scale), answers, strict=True):
            again = replay.multiply_blocks(batch)
            assert again.current_a.tobytes() == answer.current_a.tobytes()
            assert again.flags.tobytes() == answer.flags.tobytes()


def test_answers_are_stored_as_codes_of_one_byte(tmp_path: Path) -> None:
    recorded(tmp_path / "a.h5", ADC, asked("answers"))
    with Record(tmp_path / "a.h5") as record:
        file = record._file["operations/blocks"]
        assert file["codes"].dtype == np.uint8
        assert file["codes"].shape == (4, 36, 4)
        assert "current_a" not in file
        assert "voltage_v" not in file


@pytest.mark.parametrize("keep", ["all", "answers"])
def test_flags_are_stored_only_of_multiplications_of_which_one_is_set(
    tmp_path: Path, keep: Keep
) -> None:
    recorded(tmp_path / "a.h5", ADC, asked(keep, 3.0))
    with Record(tmp_path / "a.h5") as record:
        without, flagged = record._file["operations/blocks"], record._file["operations/blocks_2"]
        assert "flags" not in without
        assert len(without["layout"]) == 3
        assert flagged["flags"].shape == (1, 36, 4)
        assert (flagged["flags"][0] == Flag.OVER_RANGE).any()


@pytest.mark.parametrize("bits", [3, 4, 10])
def test_codes_that_do_not_fill_their_bytes_are_packed(tmp_path: Path, bits: int) -> None:
    recorded(tmp_path / "a.h5", adc(bits=bits), asked("answers"))
    with Record(tmp_path / "a.h5") as record:
        file = record._file["operations/blocks"]
        assert file["codes_packed"].shape == (4, 36 * 4 * bits // 8)
        assert "codes" not in file


def test_packed_codes_that_cannot_be_read_are_refused_in_a_line(tmp_path: Path) -> None:
    recorded(tmp_path / "a.h5", adc(bits=4), asked("answers"))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["operations/blocks/code_bits"][0] = 5
    with (
        Record(tmp_path / "a.h5") as record,
        pytest.raises(RecordError, match="packed codes of blocks cannot be read: 72 bytes are"),
    ):
        Replay(record).multiply_blocks(asked("answers")[0])


def test_a_replay_of_answers_refuses_other_voltages_and_other_blocks(tmp_path: Path) -> None:
    recorded(tmp_path / "a.h5", ADC, asked("answers"))
    first = asked("answers")[0]
    other_v = first.voltage_v.copy()
    other_v[5, 0, 3, 2] += 1e-12
    for changed, match in (
        (BlockBatch(other_v, BLOCKS, 1, MovingWindow(2, 2), calibrate=True), "another digest"),
        (
            BlockBatch(first.voltage_v, BLOCKS[:1], 1, MovingWindow(2, 2), calibrate=True),
            "others than",
        ),
        (
            BlockBatch(first.voltage_v[:2], BLOCKS, 1, MovingWindow(2, 2), calibrate=True),
            "has shape",
        ),
    ):
        with Record(tmp_path / "a.h5") as record, pytest.raises(ReplayMismatch, match=match):
            Replay(record).multiply_blocks(changed)


def test_a_replay_of_a_summary_says_what_it_lacks(tmp_path: Path) -> None:
    recorded(tmp_path / "a.h5", ADC, asked("summary"))
    with Record(tmp_path / "a.h5") as record:
        message = "operation 0: the record keeps a summary of this multiplication"
        with pytest.raises(RecordError, match=message) as found:
            Replay(record).multiply_blocks(asked("summary")[0])
        assert "\n" not in str(found.value)


def test_a_summary_has_counts_extremes_and_digests(tmp_path: Path) -> None:
    answers = recorded(tmp_path / "a.h5", ADC, asked("summary", 3.0))
    with Record(tmp_path / "a.h5") as record:
        rows = record._file["operations/blocks"]
        for index, (batch, answer) in enumerate(zip(asked("all", 3.0), answers, strict=True)):
            assert rows["vectors"][index] == 36
            assert rows["highest_v"][index] == batch.voltage_v.max()
            assert rows["lowest_a"][index] == np.nanmin(answer.current_a)
            assert rows["over_range"][index] == (answer.flags == Flag.OVER_RANGE).sum()
            assert bytes(rows["digest"][index]) == batch.digest
        assert rows["over_range"][3] > 0


def test_records_of_one_run_differ_where_an_answer_does(tmp_path: Path) -> None:
    for name, scale in (("a", 1.0), ("b", 1.0), ("c", 1.5)):
        recorded(tmp_path / f"{name}.h5", ADC, asked("summary", scale))
    assert differences(tmp_path / "a.h5", tmp_path / "b.h5") == []
    found = differences(tmp_path / "a.h5", tmp_path / "c.h5")
    assert "operations/blocks/answers_digest: values" in found


def test_each_kind_is_smaller_than_the_one_before(tmp_path: Path) -> None:
    sizes = []
    for keep in ("all", "answers", "summary"):
        images_v = np.random.default_rng(2).uniform(0, 0.1, (50, 1, 20, 20))
        batch = BlockBatch(images_v, BLOCKS, 1, MovingWindow(2, 2), keep=keep)  # type: ignore[arg-type]
        recorded(tmp_path / f"{keep}.h5", ADC, [batch])
        sizes.append((tmp_path / f"{keep}.h5").stat().st_size)
    assert sizes[0] > 5 * sizes[1] > 10 * sizes[2] > 0
