"""Columns of a multiplication by blocks: what is kept of it, and what follows from that.

The attribute ``keep`` of the operation decides, and nothing else does:

- ``all``: every voltage and current;
- ``answers``: the codes of the converters and their levels, from which the currents follow to the
  last bit, or the currents where nothing was converted; of the voltages a digest;
- ``summary``: digests of voltages and answers, counts and extremes.

Flags are kept with ``all`` and ``answers`` where one is set: without a column of them none is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.array.blocks import BlockBatch, Keep, digest_of
from hwloop.array.codes import Codes, packed, smallest_type, unpacked
from hwloop.array.operations import Flag, Reading
from hwloop.errors import RecordError
from hwloop.steps.contract import PlannedBatch

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class KeptBatch:
    """Batch of blocks whose voltages a record has not kept, by their digest.

    ``layout``: as :meth:`BlockBatch.layout`. ``shape``: of the voltages.
    """

    layout: str
    shape: tuple[int, ...]
    digest: bytes
    keep: Keep

    def difference(self, asked: BlockBatch) -> str:
        """Describe how a batch differs from this one; "" where it is the same."""
        if asked.voltage_v.shape != self.shape:
            return f"voltage_v has shape {asked.voltage_v.shape}, in the record {self.shape}"
        if asked.layout() != self.layout:
            return "blocks, windows, constant_v or calibrate are others than in the record"
        if asked.digest != self.digest:
            return "voltage_v has another digest than in the record"
        return ""


def block_columns(batch: BlockBatch, reading: Reading | None) -> dict[str, Any]:
    """Return the columns of a batch; those of its answer are missing where it failed."""
    columns: dict[str, Any] = {"layout": batch.layout()}
    if batch.keep == "all":
        columns["voltage_v"] = batch.voltage_v
        if reading is not None:
            columns |= {"current_a": reading.current_a} | _flags(reading)
        return columns
    columns |= {
        "keep": batch.keep,
        "shape": np.array(batch.voltage_v.shape),
        "digest": np.frombuffer(batch.digest, np.uint8),
    }
    if reading is None:
        return columns
    return columns | (_answers(reading) if batch.keep == "answers" else _summary(batch, reading))


def planned_block_columns(
    planned: PlannedBatch, outer: tuple[int, ...], code_bits: int | None
) -> dict[str, Any]:
    """Return columns like those that a batch is going to have, of any values.

    ``outer``: axes in front of the vectors of the answer. ``code_bits``: of the converters; None:
    nothing is converted.
    """
    batch = planned.batch
    own = batch.voltage_v.shape[-2 if batch.windows is None else -4 :]
    shape = (*planned.outer, planned.samples, *own[1:])
    answer = (*outer, planned.samples * batch.vectors, batch.columns)
    columns: dict[str, Any] = {"layout": batch.layout()}
    if batch.keep == "all":
        return columns | {"voltage_v": _blank(shape), "current_a": _blank(answer)}
    columns |= {
        "keep": batch.keep,
        "shape": np.array(shape),
        "digest": np.zeros(_DIGEST_BYTES, np.uint8),
    }
    if batch.keep == "summary":
        extremes = ("lowest_v", "highest_v", "lowest_a", "highest_a")
        columns |= {"vectors": np.int64(0), **dict.fromkeys(extremes, 0.0)}
        columns |= dict.fromkeys(("over_range", "compliance"), np.int64(0))
        return columns | {"answers_digest": np.zeros(_DIGEST_BYTES, np.uint8)}
    if code_bits is None:
        return columns | {"current_a": _blank(answer)}
    each = np.zeros(batch.columns)
    codes = np.broadcast_to(smallest_type(2**code_bits - 1)(0), answer)
    if code_bits == 8 * codes.itemsize:
        stored: dict[str, Any] = {"codes": codes}
    else:
        packed_bytes = -(-codes.size * code_bits // 8)
        stored = {
            "codes_packed": np.broadcast_to(np.uint8(0), (packed_bytes,)),
            "code_bits": np.int64(code_bits),
            "code_shape": np.array(answer),
        }
    of_levels = dict.fromkeys(("code_low_a", "code_high_a", "code_top"), each)
    return columns | stored | {"code_column": np.zeros(batch.columns, np.int64)} | of_levels


def _blank(shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.broadcast_to(np.float64(0.0), shape)


def _answers(reading: Reading) -> dict[str, Any]:
    codes, flags = reading.codes, _flags(reading)
    if codes is None:
        return {"current_a": reading.current_a} | flags
    return (
        _stored_codes(codes)
        | {
            "code_column": codes.column,
            "code_low_a": codes.low_a,
            "code_high_a": codes.high_a,
            "code_top": codes.top,
        }
        | flags
    )


def _flags(reading: Reading) -> dict[str, Any]:
    """Return the flags where one is set."""
    return {"flags": reading.flags} if reading.flags.any() else {}


def _stored_codes(codes: Codes) -> dict[str, Any]:
    """Return the codes; packed where they have fewer bits than their type."""
    bits = max(1, int(codes.top.max(initial=1)).bit_length())
    if bits == 8 * codes.values.dtype.itemsize:
        return {"codes": codes.values}
    return {
        "codes_packed": packed(codes.values, bits),
        "code_bits": np.int64(bits),
        "code_shape": np.array(codes.values.shape),
    }


def _read_codes(values: Mapping[str, Any]) -> np.ndarray | None:
    """Return the codes in a row of columns; None where there are none."""
    if "codes" in values:
        return np.array(values["codes"])
    if "codes_packed" not in values:
        return None
    try:
        shape = tuple(int(size) for size in values["code_shape"])
        return unpacked(np.asarray(values["codes_packed"]), int(values["code_bits"]), shape)
    except (KeyError, TypeError, ValueError) as exc:
        raise RecordError(f"the packed codes of blocks cannot be read: {exc}") from None


def _summary(batch: BlockBatch, reading: Reading) -> dict[str, Any]:
    low_v, high_v = batch.extremes_v
    codes, current_a = reading.codes, reading.current_a
    if reading.flags.any():
        measured_a = current_a[reading.flags == 0]
        over_range = int(np.count_nonzero(reading.flags & Flag.OVER_RANGE))
        compliance = int(np.count_nonzero(reading.flags & Flag.COMPLIANCE))
    else:
        measured_a, over_range, compliance = current_a, 0, 0
    return {
        "vectors": np.int64(batch.vectors),
        "lowest_v": low_v,
        "highest_v": high_v,
        "lowest_a": float(measured_a.min()) if measured_a.size else np.nan,
        "highest_a": float(measured_a.max()) if measured_a.size else np.nan,
        "over_range": np.int64(over_range),
        "compliance": np.int64(compliance),
        "answers_digest": np.frombuffer(
            digest_of(reading.current_a if codes is None else codes.values), np.uint8
        ),
    }


def recorded_batch(values: Mapping[str, Any]) -> BlockBatch | KeptBatch:
    """Return the batch in a row of columns; raises :class:`RecordError` where it is none."""
    layout = values["layout"].decode()
    if "keep" not in values:
        try:
            return BlockBatch.with_layout(layout, values["voltage_v"])
        except (KeyError, TypeError, ValueError) as exc:
            raise RecordError(f"the layout and the voltages of blocks do not fit: {exc}") from None
    keep = values["keep"].decode()
    if keep not in ("answers", "summary"):
        raise RecordError(f"keep is {keep!r}; expected 'answers' or 'summary'")
    shape = tuple(int(size) for size in values["shape"])
    return KeptBatch(layout, shape, bytes(np.asarray(values["digest"], np.uint8)), keep)


def recorded_reading(values: Mapping[str, Any]) -> Reading | None:
    """Return the answer in a row of columns; None where the record has not kept it."""
    codes, stored = None, _read_codes(values)
    if stored is not None:
        codes = Codes(
            stored,
            np.array(values["code_column"]),
            *(np.array(values[name]) for name in ("code_low_a", "code_high_a", "code_top")),
        )
        current_a = codes.currents()
    elif "current_a" in values:
        current_a = np.array(values["current_a"])
    else:
        return None
    flags: NDArray[np.uint8] = np.array(
        values["flags"] if "flags" in values else np.zeros(current_a.shape, np.uint8)
    )
    if codes is not None:
        current_a[flags != 0] = np.nan
    return Reading(current_a, flags, codes)
