"""The minimum is found through parameters that show nothing finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwloop.settings.model import Settings
from hwloop.types import FloatArray
from hwloop_sim.calibrate.effort import Effort
from hwloop_sim.calibrate.operations.deviations import uncertainty_of
from hwloop_sim.calibrate.operations.free import Free
from hwloop_sim.calibrate.operations.history import History, Read, Stimulus
from hwloop_sim.calibrate.operations.least_squares import minimise
from hwloop_sim.calibrate.operations.problem import Problem


class _Growth(Settings):
    rate: float = 1.0


def _grown(
    history: History, variants: Sequence[Any], first_conductance_s: FloatArray
) -> FloatArray:
    """Conductance e^(rate n), which overflows from rate 100 on."""
    pulses = np.arange(len(history.reads))
    rates = np.array([one.rate for one in variants])
    return np.asarray(
        0.1 * first_conductance_s[:, None, :] * np.exp(rates[:, None] * pulses)[..., None]
    )


def growing() -> Problem:
    """Twelve reads of e^(0.3 n), searched from rates that overflow."""
    rng = np.random.default_rng(2)
    events: list[Stimulus | Read] = []
    for number in range(12):
        seen_a = 1e-7 * np.exp(0.3 * number) * (1 + 1e-3 * rng.normal())
        events += [Read(0.1, True, np.array([seen_a])), Stimulus(np.array([1.0]), 1e-3)]
    history = History("a.h5", ["cell (0, 0)"], events)
    mask = np.ones((12, 1), dtype=np.bool_)
    free = [Free("rate", 1e-2, 1e4)]
    return Problem("growth", _grown, _Growth(), free, [history], [mask], 16)


def test_parameters_that_overflow_are_passed_over_without_a_warning() -> None:
    found = minimise(growing())
    error = uncertainty_of(found).deviations["rate"]
    assert found.values["rate"] == pytest.approx(0.3, abs=4 * error)
    assert error < 1e-3


def test_a_search_that_is_ended_keeps_the_best_it_has_seen() -> None:
    checks = iter(range(1000))
    # The clock goes on by a second with every look at it.
    short = Effort(20.0, now_s=lambda: float(next(checks)))
    whole = minimise(growing())
    problem = replace(growing(), effort=short)
    ended = minimise(problem)
    assert short.ended
    assert np.isfinite(ended.cost)
    assert abs(np.log(ended.values["rate"] / whole.values["rate"])) < 1
