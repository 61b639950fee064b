"""Checks of what stands around operations, and the whole suite."""

from __future__ import annotations

from typing import get_args

import numpy as np

from hwloop.array.operations import PulseMap, PulsePair, Reading, ReadMap, Wait
from hwloop.backend.base import Event, MultiplyMode
from hwloop.errors import HwloopError
from hwloop.testing.operations import (
    Make,
    check_multiply,
    check_pulses,
    check_ramps,
    check_reads,
)
from hwloop.testing.rhythm import check_rhythm
from hwloop.testing.trials import (
    every_kind,
    expect_closed,
    expect_refusal,
    misshapen,
    read_all,
)


def check_backend(
    make: Make,
    *,
    pulse: PulseMap,
    read_v: float,
    relative_tolerance: float = 1e-9,
    instant: bool = False,
) -> None:
    """Check every rule on fresh backends from ``make``; raise AssertionError with the broken one.

    ``pulse``: a map (rows, cols) that the backend supports. ``read_v``: a harmless read voltage.
    ``relative_tolerance``: by which repeated reads, and multiplications against reads, may differ.
    ``instant``: its instruments are virtual ones that take no time on the backend's clock.
    Each backend is closed before the next is made.
    """
    tolerance = relative_tolerance
    _check_description(make)
    _check_groups(make)
    check_reads(make, read_v, tolerance)
    _check_clock(make, pulse, read_v)
    _check_questions(make, pulse, read_v, tolerance)
    _check_perform(make, pulse, read_v)
    check_multiply(make, read_v, tolerance)
    check_pulses(make, pulse, read_v, tolerance)
    check_ramps(make, pulse=pulse, read_v=read_v, relative_tolerance=tolerance)
    check_rhythm(make, pulse=pulse, read_v=read_v, relative_tolerance=tolerance, instant=instant)
    _check_events(make, pulse)
    _check_make_safe(make, pulse, read_v, tolerance)
    _check_end(make, pulse, read_v)


def _check_description(make: Make) -> None:
    with make() as backend:
        first, second = backend.description, backend.description
        assert first == second, "the description of an open backend must not change"
        assert first.multiply in get_args(MultiplyMode), (
            f"multiply must be one of {', '.join(get_args(MultiplyMode))}"
        )
        backend.make_safe()
        assert backend.description == first, "the description of an open backend must not change"


def _check_groups(make: Make) -> None:
    with make() as backend:
        shape = backend.description.geometry.shape
        covered = np.zeros(shape, dtype=int)
        groups = list(backend.groups())
        for group in groups:
            assert group.shape == shape, "a group must be a mask of (rows, cols)"
            assert group.dtype == np.bool_, "a group must be a mask of truth values"
            covered += group
        assert (covered == 1).all(), "the groups must cover every cell exactly once"
        again = list(backend.groups())
        assert np.array_equal(groups, again), "the groups must be the same whenever asked for"


def _check_questions(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check that questions about operations do nothing to the array or its clock."""
    with make() as backend:
        before, now_s = read_all(backend, read_v), backend.now_s()
        for operation in every_kind(backend, pulse, read_v):
            backend.check(operation)
            duration_s = backend.duration_s(operation)
            assert np.isfinite(duration_s), "an expected duration must be a finite time"
            assert duration_s >= 0, "an expected duration must be 0 s or more"
            if isinstance(operation, Wait):
                rule = "the expected duration of a wait must be its own at least"
                assert duration_s >= operation.duration_s, rule
        assert backend.now_s() == now_s, "check and duration_s must not let time pass"
        after = read_all(backend, read_v)
        assert np.allclose(before, after, rtol=tolerance, atol=0), (
            "check and duration_s must not change a cell"
        )


def _check_perform(make: Make, pulse: PulseMap, read_v: float) -> None:
    with make() as backend:
        assert backend.now_s() >= 0, "the clock must begin at 0 s or later"
        for operation in every_kind(backend, pulse, read_v):
            answer = backend.perform(operation)
            name = type(operation).__name__
            if isinstance(operation, Wait):
                assert answer is None, f"perform must answer a {name} with None"
                continue
            if isinstance(operation, PulseMap | PulsePair):
                assert isinstance(answer, np.ndarray), f"perform must answer a {name} with flags"
                continue
            assert isinstance(answer, Reading), f"perform must answer a {name} with a Reading"
            silent = np.isnan(answer.current_a) & (answer.flags == 0)
            assert not silent.any(), "a current that is NaN must have a flag that says why"


def _check_clock(make: Make, pulse: PulseMap, read_v: float) -> None:
    with make() as backend:
        read = ReadMap.every_cell(backend.description.geometry.shape, read_v=read_v)
        times = [backend.now_s()]
        for operation in (read, pulse, Wait(0.25), read):
            backend.perform(operation)
            times.append(backend.now_s())
        assert times == sorted(times), "the clock must never run backwards"
        assert times[3] - times[2] >= 0.25 * (1 - 1e-9), "a wait must let its duration pass"
        backend.make_safe()
        assert backend.now_s() == times[-1], "the clock must stand still between operations"


def _check_events(make: Make, pulse: PulseMap) -> None:
    with make() as backend:
        backend.pulse(pulse)
        for event in backend.take_events():
            assert isinstance(event, Event), "an event must be an Event"
        assert backend.take_events() == [], "events must be handed out once"


def _check_make_safe(make: Make, pulse: PulseMap, read_v: float, tolerance: float) -> None:
    """Check that a backend goes on after it was made safe: before, between, after a refusal."""
    with make() as backend:
        backend.make_safe()
        backend.make_safe()
        before = read_all(backend, read_v)
        for operation in misshapen(backend, pulse, read_v):
            expect_refusal(
                HwloopError, backend, operation, "a map of another shape must be refused"
            )
            backend.make_safe()
        after = read_all(backend, read_v)
        assert np.allclose(before, after, rtol=tolerance, atol=0), (
            "make_safe must not change a cell"
        )
        for operation in every_kind(backend, pulse, read_v):
            backend.make_safe()
            backend.perform(operation)


def _check_end(make: Make, pulse: PulseMap, read_v: float) -> None:
    backend = make()
    with backend as entered:
        assert entered is backend, "a backend must enter a with block as itself"
        kinds = every_kind(backend, pulse, read_v)
    expect_closed(backend, kinds)
    backend = make()
    backend.close()
    backend.close()
    backend.make_safe()
    expect_closed(backend, kinds)
