"""Compiled loops of the emulator.

Import this module where it is used: it loads numba. Its loops run on numba's ``workqueue`` layer,
which starts in 0.4 ms where OpenMP takes 8 ms on a small machine, but which must not be entered by
two threads at once: :data:`THREADS` is held while a parallel loop runs.

The random numbers are those of :mod:`hwloop_sim.compiled.counter_based_random`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_sim.compiled.counter_based_random import (
    Draws,
    StepScatter,
    fill_normals,
    fill_normals_at,
)

if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]

THREADS = threading.RLock()
"""Held while a parallel loop runs: the workqueue layer ends the process where two meet."""

_BLOCK = 1024  # numbers that one thread draws and uses at a time: they stay in its cache
_FEW = _BLOCK // 4  # entries of a block whose numbers are drawn one by one
_ALONE = 16 * _BLOCK  # entries up to which waking the other threads takes longer than it saves


def _loop(body: Callable[..., Any], alone_up_to: int = _ALONE) -> Callable[..., Any]:
    """Make a loop over blocks of its first argument: all threads, or this one for a few blocks.

    Waking the other threads takes longer than a small array does, most of all where they share
    their cores. Each variant is compiled when it is first needed; both give the same numbers.
    """
    single = FunctionType(body.__code__, body.__globals__, f"{body.__name__}_alone")
    single.__qualname__ = single.__name__  # numba's cache knows a function by this, not by options
    alone = numba.njit(cache=True)(single)
    together = numba.njit(parallel=True, cache=True)(body)

    @functools.wraps(body)
    def run(first: NDArray[Any], *others: Any) -> Any:
        if first.size <= alone_up_to:
            return alone(first, *others)
        with THREADS:
            return together(first, *others)

    return run


def _light_loop(body: Callable[..., Any]) -> Callable[..., Any]:
    """Make a loop as :func:`_loop`, of so little work that many blocks are this thread's."""
    return _loop(body, 16 * _ALONE)


@numba.njit(inline="always")
def _blocks(values):
    return (values.size + _BLOCK - 1) // _BLOCK


@numba.njit(inline="always")
def _block(values, index):
    """Return one block of values, indexed from 0: only then does a loop become vector code."""
    return values[index * _BLOCK : min(index * _BLOCK + _BLOCK, values.size)]


@_loop
def _normals(out, draw, key):
    for index in numba.prange(_blocks(out)):
        normals = np.empty(_BLOCK, np.float32)
        fill_normals(normals, index, draw, key)
        part = _block(out, index)
        for i in range(part.size):
            part[i] = normals[i]


@numba.njit(inline="always")
def _places(values, places):
    """Write the places of the entries that are not 0, and return how many these are."""
    count = 0
    for i in range(values.size):
        places[count] = i
        count += values[i] != 0
    return count


@_loop
def _add_noise(values, variance, scale, draw, key):
    for index in numba.prange(_blocks(values)):
        normals = np.empty(_BLOCK, np.float32)
        places = np.empty(_BLOCK, np.int32)
        part, part_variance = _block(values, index), _block(variance, index)
        count = _places(part_variance, places)
        if count > _FEW:
            fill_normals(normals, index, draw, key)
            for i in range(part.size):
                part[i] += scale * np.sqrt(part_variance[i]) * normals[i]
        elif count:
            fill_normals_at(normals, places[:count], _BLOCK, index, draw, key)
            for k in range(count):
                i = places[k]
                part[i] += scale * np.sqrt(part_variance[i]) * normals[k]


@numba.njit(inline="always")
def _spread(start, end, sigma, normals):
    """Add (end − start) · sigma · ξ to ``end``, in place."""
    for i in range(end.size):
        end[i] += (end[i] - start[i]) * (sigma * normals[i])


@_loop
def _scatter(before, after, sigma, draw, key):
    out = np.empty_like(after)
    for index in numba.prange(_blocks(after)):
        start, end, part = _block(before, index), _block(after, index), _block(out, index)
        normals, places = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.int32)
        part[:] = end
        count = 0
        for i in range(end.size):  # a cell that did not move needs no number
            places[count] = i
            count += end[i] != start[i]
        if count > _FEW:
            fill_normals(normals, index, draw, key)
            _spread(start, part, sigma, normals)
        elif count:
            fill_normals_at(normals, places[:count], _BLOCK, index, draw, key)
            for k in range(count):
                i = places[k]
                part[i] += (part[i] - start[i]) * (sigma * normals[k])
    return out


@numba.njit(inline="always")
def _towards(state, up_v, low, high, left_up, left_down):
    """Return the state after the pulses of a sign; at 0 V it stays."""
    up = up_v > 0
    bound = high if up else low
    moved = bound + (state - bound) * (left_up if up else left_down)
    return moved if up_v != 0 else state


@_loop
def _towards_bounds(state, up_v, low, high, left_up, left_down, sigma, draw, key):
    out = np.empty_like(state)
    alike = low.size == 1
    for index in numba.prange(_blocks(state)):
        start, volts, end = _block(state, index), _block(up_v, index), _block(out, index)
        places = np.empty(_BLOCK, np.int32)
        count = _places(volts, places)
        if count <= _FEW:
            end[:] = start
            for k in range(count):
                i = places[k]
                j = 0 if alike else index * _BLOCK + i
                end[i] = _towards(start[i], volts[i], low[j], high[j], left_up[j], left_down[j])
        elif alike:
            low_0, high_0, up_0, down_0 = low[0], high[0], left_up[0], left_down[0]
            for i in range(end.size):
                end[i] = _towards(start[i], volts[i], low_0, high_0, up_0, down_0)
        else:
            lows, highs = _block(low, index), _block(high, index)
            ups, downs = _block(left_up, index), _block(left_down, index)
            for i in range(end.size):
                end[i] = _towards(start[i], volts[i], lows[i], highs[i], ups[i], downs[i])
        if sigma > 0 and count > _FEW:
            normals = np.empty(_BLOCK, np.float32)
            fill_normals(normals, index, draw, key)
            _spread(start, end, sigma, normals)
        elif sigma > 0 and count > 0:
            normals = np.empty(_BLOCK, np.float32)
            fill_normals_at(normals, places[:count], _BLOCK, index, draw, key)
            for k in range(count):
                i = places[k]
                end[i] += (end[i] - start[i]) * (sigma * normals[k])
    return out


@numba.njit(cache=True, nogil=True)
def _all_near(values, centres, margins):
    beyond = np.empty(_BLOCK)  # how far outside of the nearest margin
    for index in range(_blocks(values)):
        part = _block(values, index)
        for i in range(part.size):
            beyond[i] = np.abs(part[i])
        for k in range(centres.size):
            centre, margin = centres[k], margins[k]
            for i in range(part.size):
                outside = np.abs(part[i] - centre) - margin
                beyond[i] = min(beyond[i], outside)
        missed = 0
        for i in range(part.size):
            missed += not beyond[i] <= 0
        if missed:
            return False
    return True


@_light_loop
def _meter(values, flags, bound_a, flag):
    for index in numba.prange(_blocks(values)):
        part, part_flags = _block(values, index), _block(flags, index)
        for i in range(part.size):
            beyond = np.abs(part[i]) > bound_a
            part_flags[i] = np.uint8(flag) if beyond else np.uint8(0)
            part[i] = np.nan if beyond else part[i]


@_light_loop
def _meter_some(values, addressed, flags, bound_a, flag, not_addressed):
    for index in numba.prange(_blocks(values)):
        part, part_flags = _block(values, index), _block(flags, index)
        asked = _block(addressed, index)
        for i in range(part.size):
            beyond = np.abs(part[i]) > bound_a
            found = np.uint8(flag) if beyond else np.uint8(0)
            part_flags[i] = found if asked[i] else np.uint8(not_addressed)
            part[i] = part[i] if asked[i] and not beyond else np.nan


@numba.njit(inline="always")
def _code(value, gain, offset, low, step):
    return np.rint((value * gain + offset - low) / step)


@numba.njit(inline="always")
def _level(code, low, high, top):
    return (high + low) / 2 + (code - top / 2) * ((high - low) / top)


@_loop
def _digitise(values, gain, offset, low, high, top, codes, over):
    arrays, batch, cols = values.shape
    step = (high - low) / top
    for row in numba.prange(arrays * batch):
        array, vector = row // batch, row % batch
        for col in range(cols):
            value = values[array, vector, col]
            code = _code(value, gain[array, col], offset[array, col], low, step)
            # Not a number, as where a compliance was hit, is over range too.
            inside = 0.0 <= code <= top
            held = min(max(code, 0.0), top) if code == code else 0.0
            over[array, vector, col] = not inside
            codes[array, vector, col] = np.int32(held)
            values[array, vector, col] = _level(held, low, high, top) if inside else np.nan


@_loop
def _read_out(values, gain, offset, low, high, top, bound, flags, at_bound, beyond):
    arrays, batch, cols = values.shape
    step = (high - low) / top
    for row in numba.prange(arrays * batch):
        array, vector = row // batch, row % batch
        for col in range(cols):
            value = values[array, vector, col]
            code = _code(value, gain[array, col], offset[array, col], low, step)
            complies = np.abs(value) <= bound
            inside = 0.0 <= code <= top
            flag = np.uint8(0) if inside else np.uint8(beyond)
            flags[array, vector, col] = flag if complies else np.uint8(at_bound)
            level = _level(code, low, high, top)
            values[array, vector, col] = level if inside and complies else np.nan


def _flat(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return values that broadcast to a shape, contiguous and flat."""
    whole = values if values.shape == shape else np.broadcast_to(values, shape)
    return np.ascontiguousarray(whole).reshape(-1)


def normals(size: int, draws: Draws) -> FloatArray:
    """Return one draw of standard normal numbers, (size,)."""
    out = np.empty(size)
    key, draw = draws.next()
    _normals(out, draw, key)
    return out


def add_noise(
    values: FloatArray, variance: NDArray[np.floating], draws: Draws, *, scale: float
) -> None:
    """Add scale · √variance · ξ to ``values``, in place; both contiguous and of one shape."""
    key, draw = draws.next()
    _add_noise(values.reshape(-1), variance.reshape(-1), scale, draw, key)


def scatter(before: FloatArray, after: FloatArray, of_steps: StepScatter) -> FloatArray:
    """Return after + (after − before) · sigma · ξ, all of one shape."""
    key, draw = of_steps.draws.next()
    start, end = (np.ascontiguousarray(values).reshape(-1) for values in (before, after))
    scattered: FloatArray = _scatter(start, end, of_steps.sigma, draw, key)
    return scattered.reshape(after.shape)


def towards_bounds(
    state: FloatArray,
    up_v: FloatArray,
    parts: Sequence[FloatArray],
    *,
    scatter: StepScatter | None = None,
) -> FloatArray:
    """Return bound + (state − bound) · left: the upper bound where up_v > 0, the lower below 0.

    ``up_v`` broadcasts to the shape of ``state``; where it is 0 a state stays. ``parts``: lower and
    upper bound, fraction left upwards and downwards; all of the shape of ``state``, or all of one
    number. ``scatter``: applied to every step, as by :func:`scatter`, in the same loop.
    """
    flat, flat_v = _flat(state, state.shape), _flat(up_v, state.shape)
    low, high, left_up, left_down = (_flat(part, part.shape) for part in parts)
    sigma, key, draw = 0.0, np.uint64(0), np.uint64(0)
    if scatter is not None:
        sigma = scatter.sigma
        key, draw = scatter.draws.next()
    moved: FloatArray = _towards_bounds(
        flat, flat_v, low, high, left_up, left_down, sigma, draw, key
    )
    return moved.reshape(state.shape)


def all_near(values: FloatArray, centres: FloatArray, margins: FloatArray) -> bool:
    """Return whether every value is 0 or within a margin of its centre, (centres,)."""
    return bool(_all_near(np.ascontiguousarray(values).reshape(-1), centres, margins))


def meter(
    values: FloatArray,
    *,
    bound_a: float,
    flag: int,
    addressed: BoolArray | None = None,
    not_addressed: int = 0,
) -> FlagArray:
    """Make NaN, in place, what is beyond ± ``bound_a``, and return the flags: ``flag`` for these.

    ``values``: contiguous. Those outside of the mask ``addressed`` become NaN with the flag
    ``not_addressed``.
    """
    flags: FlagArray = np.empty(values.shape, np.uint8)
    flat, flat_flags = values.reshape(-1), flags.reshape(-1)
    flag = int(flag)  # of an enumeration numba would look up the type at every call
    if addressed is None:
        _meter(flat, flat_flags, bound_a, flag)
    else:
        asked = _flat(addressed, values.shape)
        _meter_some(flat, asked, flat_flags, bound_a, flag, int(not_addressed))
    return flags


def digitise(
    values: FloatArray, gain: FloatArray, offset: FloatArray, *, low: float, high: float, top: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_], FloatArray]:
    """Convert values (..., batch, cols): codes 0 to ``top`` held at the ends, over range, levels.

    ``gain``, ``offset``: (..., cols), applied before the conversion. A level is NaN where its
    value was over range.
    """
    batch, cols = values.shape[-2:]
    converted = values.reshape(-1, batch, cols).copy()
    codes = np.empty(converted.shape, np.int32)
    over = np.empty(converted.shape, np.bool_)
    gain, offset = (np.ascontiguousarray(part).reshape(-1, cols) for part in (gain, offset))
    _digitise(converted, gain, offset, low, high, float(top), codes, over)
    return codes.reshape(values.shape), over.reshape(values.shape), converted.reshape(values.shape)


def read_out(
    values: FloatArray,
    gain: FloatArray,
    offset: FloatArray,
    *,
    low: float,
    high: float,
    top: int,
    bound: float,
    at_bound: int,
    beyond: int,
) -> FlagArray:
    """Convert contiguous values (..., batch, cols) to levels, in place, and return their flags.

    As :func:`digitise`; a value not within ± ``bound`` is flagged ``at_bound``, any other that is
    over range ``beyond``; either becomes NaN.
    """
    batch, cols = values.shape[-2:]
    flags = np.empty(values.shape, np.uint8)
    gain, offset = (np.ascontiguousarray(part).reshape(-1, cols) for part in (gain, offset))
    flat, flat_flags = (array.reshape(-1, batch, cols) for array in (values, flags))
    _read_out(flat, gain, offset, low, high, float(top), bound, flat_flags, at_bound, beyond)
    return flags
