"""State equations of one variable at a constant voltage, solved to 1e-10 in a bounded time.

A cell whose state x in [0, 1] follows dx/dt = F(x, v) moves, at constant v, monotonically towards
an end: a bound, or a point where F vanishes. The time from one state to another is the integral of
dx/F. It is taken in panels over x, not in steps over time, each by the 15-point Kronrod rule (R.
Piessens et al., QUADPACK, 1983), halved until the rule agrees with the 7-point Gauss rule inside
it; the panel in which the time is up is solved for x by Newton's method within a bracket. So a
pulse costs the same for a nanosecond and for hours, no state can leave [0, 1], and nothing is
stiff. A train of n pulses of width T is one of n · T: nothing moves between pulses.

Each device model brings, as plain functions that numba compiles, and that the functions below find
by these names:

- ``rate(x, v, p)``: F, per second; 0 where nothing moves;
- ``next_break_point(x, v, p)``: the next point in the direction of F at which F has a kink or
  vanishes, or the bound.

A model whose equation has a solution in closed form brings that too, ``after(x, duration, v, p)``,
the state after a time at v; then nothing is integrated.

``p`` is one record of a structured array: its fields are the parameters. The voltage is the
device's own. Import this module where it is used: it loads numba.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from types import CellType, FunctionType
from typing import Any
from zlib import crc32

import numba
import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

_HALF_NODES = (
    (0.9914553711208126392, 0.0229353220105292249, 0.0),
    (0.9491079123427585245, 0.0630920926299785532, 0.1294849661688696932),
    (0.8648644233597690727, 0.1047900103222501838, 0.0),
    (0.7415311855993944398, 0.1406532597155259187, 0.2797053914892766679),
    (0.5860872354676911302, 0.1690047266392679028, 0.0),
    (0.4058451513773971669, 0.1903505780647854099, 0.3818300505051189449),
    (0.2077849550078984676, 0.2044329400752988924, 0.0),
)
"""Node, Kronrod weight, Gauss weight; the same again at the node's negative."""
_CENTRE = (0.0, 0.2094821410847278280, 0.4179591836734693877)
_NODE, _KRONROD, _GAUSS = np.array(
    [*_HALF_NODES, _CENTRE, *((-x, k, g) for x, k, g in reversed(_HALF_NODES))]
).T.copy()

_AGREE = 1e-8
"""Relative difference of the two rules at which the better one errs by less than 1e-11."""
_LAST_DIGIT = 1e-15
_NEAREST = 1e-290  # below it, numbers lose their digits
_SOLVED = 1e-13
_ITERATIONS = 60
_SEGMENTS = 4  # kinks of F, and a bound
_MANY = 4096  # cells from which threads are worth their begin
_MANY_PULSES = 20_000  # the same, of the pulses of all cells

# ruff: noqa: F821 - of the model: a copy of each function below is given them
rate: Callable[..., float]
next_break_point: Callable[..., float]


def _duration(x: float, h: float, v: float, p: Any) -> tuple[float, float]:
    """Return the time from x to x + h by the Kronrod rule, and its distance from the Gauss rule."""
    half = 0.5 * h
    kronrod = 0.0
    gauss = 0.0
    for i in range(_NODE.size):
        slowness = 1.0 / rate(x + (half + half * _NODE[i]), v, p)
        kronrod += _KRONROD[i] * slowness
        gauss += _GAUSS[i] * slowness
    return kronrod * half, abs(kronrod - gauss) * abs(half)


def _reached(x: float, h: float, whole: float, duration: float, v: float, p: Any) -> float:
    """Return the state ``duration`` after x, which lies in the panel that takes ``whole``."""
    low, high = 0.0, 1.0
    part = duration / whole
    for _ in range(_ITERATIONS):
        took, _ = _duration(x, part * h, v, p)
        excess = took - duration
        if abs(excess) <= _SOLVED * duration:
            break
        if excess > 0.0:
            high = part
        else:
            low = part
        part -= excess * rate(x + part * h, v, p) / h
        if not low < part < high:
            part = 0.5 * (low + high)
        if high - low <= _SOLVED * high:
            break
    return x + part * h


def _approach(x: float, end: float, duration: float, v: float, p: Any) -> tuple[float, float]:
    """Move from x towards ``end``; return the state, and the rest of the duration."""
    # Where F vanishes at the end, it is approached by halves and never reached.
    share = 1.0 if abs(rate(end, v, p)) > 0.0 else 0.5
    rest = end - x
    h = share * rest
    likely = 2.0 * duration * rate(x, v, p)
    if abs(likely) < abs(h):
        h = likely
    while abs(rest) > _NEAREST and x + h != x and (share == 1.0 or x + h != end):
        whole, difference = _duration(x, h, v, p)
        # Close to the end, rounding of the nodes limits the accuracy of F.
        agreed = (_AGREE + _LAST_DIGIT * abs(x / h)) * whole
        if not (np.isfinite(whole) and difference <= agreed):
            h *= 0.5
            continue
        if whole >= duration:
            return _reached(x, h, whole, duration, v, p), 0.0
        duration -= whole
        if abs(h) >= abs(rest):
            return end, duration
        x += h
        rest = end - x
        h = 2.0 * h if 2.0 * abs(h) < share * abs(rest) else share * rest
    # As near to the end as floating-point numbers get, or too slow to move at all.
    return x, 0.0


def _after(x: float, duration: float, v: float, p: Any) -> float:
    """Return the state of one cell after ``duration`` at ``v``."""
    for _ in range(_SEGMENTS):
        speed = rate(x, v, p)
        if not abs(speed) > 0.0:
            break
        end = next_break_point(x, v, p)
        if end == x:
            break
        x, duration = _approach(x, end, duration, v, p)
        if duration <= 0.0:
            break
    return x


def _advance(
    state: FloatArray, voltage_v: FloatArray, duration_s: FloatArray, parameters: NDArray[np.void]
) -> FloatArray:
    after = state.copy()
    shared = parameters.size == 1
    cells = state.size // duration_s.size
    for i in range(state.size):
        if voltage_v[i] == 0.0:
            continue
        if shared and i % cells and state[i] == state[i - 1] and voltage_v[i] == voltage_v[i - 1]:
            after[i] = after[i - 1]  # the cell beside it is alike in everything
            continue
        after[i] = _after(
            state[i], duration_s[i // cells], voltage_v[i], parameters[0 if shared else i]
        )
    return after


def _speeds(state: FloatArray, voltage_v: FloatArray, parameters: NDArray[np.void]) -> FloatArray:
    speeds = np.zeros(state.size)
    shared = parameters.size == 1
    for i in range(state.size):
        if voltage_v[i] != 0.0:
            speeds[i] = rate(state[i], voltage_v[i], parameters[0 if shared else i])
    return speeds


def _follow(
    state: FloatArray,
    sign: FloatArray,
    voltage_v: FloatArray,
    duration_s: FloatArray,
    parameters: NDArray[np.void],
    seen_after: NDArray[np.int64],
) -> FloatArray:
    cells = voltage_v.shape[1]
    seen = np.empty((seen_after.size, state.size))
    for i in range(state.size):
        x = state[i]
        pulse = 0
        for read in range(seen_after.size):
            while pulse < seen_after[read]:
                v = sign[i] * voltage_v[pulse, i % cells]
                if v != 0.0:
                    x = _after(x, duration_s[pulse], v, parameters[i])
                pulse += 1
            seen[read, i] = x
    return seen


_PARTS = (_duration, _reached, _approach, _after)
_LIBRARIES = {"numba", "numpy", "scipy"}
_UNCACHED = count()


class NoFixedText(Exception):
    """A function cannot be known by its text, which its cache needs."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function`` to be called from a rate: divisions by zero give infinities."""
    return numba.njit(error_model="numpy")(function)


def advancing(
    rate: Callable[..., Any],
    next_break_point: Callable[..., Any],
    after: Callable[..., Any] | None = None,
) -> Any:
    """Return the compiled loop over the cells of one model, for :func:`advance`.

    ``after``: the solution in closed form, where the model has one. See :func:`loop_of`.
    """
    return loop_of(_advance, rate, next_break_point, after)


def moving(rate: Callable[..., Any], next_break_point: Callable[..., Any]) -> Any:
    """Return the compiled loop that gives the rate of every cell, for :func:`speeds_per_s`."""
    return loop_of(_speeds, rate, next_break_point)


def following(
    rate: Callable[..., Any],
    next_break_point: Callable[..., Any],
    after: Callable[..., Any] | None = None,
) -> Any:
    """Return the compiled loop over the pulses of each cell, for :func:`follow`."""
    return loop_of(_follow, rate, next_break_point, after)


def loop_of(
    plain: Any,
    rate: Callable[..., Any],
    next_break_point: Callable[..., Any],
    after: Callable[..., Any] | None = None,
    around: Sequence[Callable[..., Any]] = (),
) -> Any:
    """Return a loop, compiled with the functions of one model.

    ``around``: functions that the loop and its parts are given instead of ``rate`` and
    ``next_break_point``, in this order after those that they call; they find the model's own as
    ``model_rate`` and ``model_break_point``.

    Compiled once on a computer: cached on disk under a checksum of the functions of the model,
    since numba itself compares the file of the loop alone, not what it calls. A model that cannot
    be told from another by its text is compiled by each process.
    """
    try:
        text = repr([made_of(one) for one in (rate, next_break_point, after) if one])
    except NoFixedText:
        mark, cached = f"only_{next(_UNCACHED)}", False
    else:
        mark, cached = f"{crc32(text.encode()):08x}", True
    copies: dict[FunctionType, Any] = {}
    made = {
        **globals(),
        "rate": _marked(rate, mark, copies),
        "next_break_point": _marked(next_break_point, mark, copies),
    }
    if around:
        made["model_rate"], made["model_break_point"] = made["rate"], made["next_break_point"]
        for one in around:
            made[one.__name__] = _copied(one, made, mark)
        made["rate"], made["next_break_point"] = (made[one.__name__] for one in around[-2:])
    for part in _PARTS:
        made[part.__name__] = _copied(part, made, mark)
    if after is not None:
        made[_after.__name__] = _marked(after, mark, copies)
    loop = FunctionType(plain.__code__, made, plain.__name__)
    loop.__qualname__ = f"{plain.__name__.lstrip('_')}_{mark}"  # of its file in the cache
    # Without Python's lock: parts of a large array are advanced side by side.
    return numba.njit(error_model="numpy", cache=cached, nogil=True)(loop)


def _copied(part: Any, names: dict[str, Any], mark: str) -> Any:
    """Return a compiled copy of a function of this module that finds others in ``names``."""
    copy = FunctionType(part.__code__, names, part.__name__)
    copy.__qualname__ = f"{part.__name__}_{mark}"
    return compiled(copy)


def _marked(function: Callable[..., Any], mark: str, copies: dict[FunctionType, Any]) -> Any:
    """Return a compiled copy of a function and all that it calls, whose names end in ``mark``.

    In the cache a function is found by its name and the number that its process had for the type
    of the parameters: that of another model, from another process, may have the same.
    """
    plain: Any = getattr(function, "py_func", function)
    if plain in copies:
        return copies[plain]
    names = dict(plain.__globals__)
    cells = tuple(CellType(cell.cell_contents) for cell in plain.__closure__ or ())
    copy = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, cells)
    copy.__qualname__ = f"{plain.__qualname__}_{mark}"
    copies[plain] = compiled(copy)
    for name in plain.__code__.co_names:
        if name in names and _is_ours(names[name]):
            names[name] = _marked(names[name], mark, copies)
    for cell in cells:
        if _is_ours(cell.cell_contents):
            cell.cell_contents = _marked(cell.cell_contents, mark, copies)
    return copies[plain]


def _is_ours(value: Any) -> bool:
    """Return whether a value is a function of a model, compiled or not, and none of a library."""
    plain = getattr(value, "py_func", value)
    return isinstance(plain, FunctionType) and plain.__module__.split(".")[0] not in _LIBRARIES


def made_of(function: Callable[..., Any]) -> list[str]:
    """Return the source of a function with its module and constants, and the same of all it calls.

    Raises :class:`NoFixedText` for a source that cannot be read, and for a value that is neither a
    function, a module nor numbers or text.
    """
    found: set[str] = set()
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        plain = getattr(one, "py_func", one)
        if plain in seen:
            continue
        seen.add(plain)
        try:
            # With its module, which what is cached looks for again.
            found.add(f"{plain.__module__}: {inspect.getsource(plain)}")
        except (OSError, TypeError) as exc:
            raise NoFixedText(str(exc)) from exc
        named = inspect.getclosurevars(plain)
        for name, value in {**named.globals, **named.nonlocals}.items():
            if hasattr(value, "py_func") or isinstance(value, FunctionType):
                waiting.append(value)
            elif isinstance(value, np.ndarray | np.generic):
                found.add(f"{name} = {value.tolist()!r}")
            elif isinstance(value, int | float | complex | str):
                found.add(f"{name} = {value!r}")
            elif not inspect.ismodule(value):
                raise NoFixedText(f"{name} is of {type(value).__name__}")
    return sorted(found)


def advance(
    loop: Any,
    state: FloatArray,
    voltage_v: FloatArray,
    duration_s: float | FloatArray,
    parameters: NDArray[np.void],
) -> FloatArray:
    """Return the states of all cells, (...), after ``duration_s`` at voltages of the same shape.

    ``loop``: made by :func:`advancing`. ``duration_s``: one for all, or one for each of equally
    many cells in the order of the states. ``parameters``: one record, or one a cell. Large arrays
    are divided among as many threads as numba has; a cell's state does not depend on the others.
    """
    flat, flat_v = (np.ascontiguousarray(one).ravel() for one in (state, voltage_v))
    times_s = np.array(duration_s, dtype=np.float64).ravel()

    def part(own: slice) -> FloatArray:
        one = parameters if parameters.size == 1 else parameters[own]
        each_s = times_s if times_s.size == 1 else times_s[own]
        moved: FloatArray = loop(flat[own], flat_v[own], each_s, one)
        return moved

    threads = numba.get_num_threads() if flat.size >= _MANY else 1
    if threads == 1:
        return part(slice(0, flat.size)).reshape(state.shape)
    if times_s.size > 1:
        times_s = np.repeat(times_s, flat.size // times_s.size)
    ends = [flat.size * number // threads for number in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(ends)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(part, parts))).reshape(state.shape)


def speeds_per_s(
    loop: Any, state: FloatArray, voltage_v: FloatArray, parameters: NDArray[np.void]
) -> FloatArray:
    """Return dx/dt of all cells, (...), in states and at voltages of the same shape.

    ``loop``: made by :func:`moving`. ``parameters``: one record, or one a cell.
    """
    flat, flat_v = (np.ascontiguousarray(one).ravel() for one in (state, voltage_v))
    speeds: FloatArray = loop(flat, flat_v, parameters)
    return speeds.reshape(state.shape)


def follow(
    loop: Any,
    state: FloatArray,
    sign: FloatArray,
    voltage_v: FloatArray,
    duration_s: FloatArray,
    parameters: NDArray[np.void],
    seen_after: NDArray[np.int64],
) -> FloatArray:
    """Return the states of variants of cells at each read of a sequence, (reads, variants, cells).

    ``loop``: made by :func:`following`. ``state``: at the beginning, (variants, cells). ``sign``:
    of the voltage on each variant, (variants,). ``voltage_v``: (pulses, cells), volts, of
    ``duration_s`` each. ``parameters``: one record a variant and cell, flat. ``seen_after``: how
    many pulses each read follows. Variants are divided among threads where there are many pulses.
    """
    variants, cells = state.shape
    signs = np.repeat(np.asarray(sign, dtype=np.float64), cells)
    volts, times_s = np.ascontiguousarray(voltage_v), np.ascontiguousarray(duration_s)
    flat = np.ascontiguousarray(state).ravel()

    def part(own: slice) -> FloatArray:
        seen: FloatArray = loop(flat[own], signs[own], volts, times_s, parameters[own], seen_after)
        return seen

    busy = flat.size * len(volts) >= _MANY_PULSES
    threads = min(numba.get_num_threads(), variants) if busy else 1
    ends = [cells * (variants * number // threads) for number in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(ends)]
    if threads == 1:
        return part(parts[0]).reshape(-1, variants, cells)
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(part, parts)), axis=1).reshape(-1, variants, cells)
