"""Each operation is checked once before it reaches an instrument: never twice, and never not."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import Ramp
from hwloop.backend.guard import Guard
from hwloop.errors import Unsupported
from tests.drivers.fake_bench import SHAPE, fake_array, fake_bench, one_pulse


def _ramp(steps: int) -> Ramp:
    start_v = np.zeros(SHAPE)
    start_v[0, 0] = 0.5
    return Ramp(
        start_v=start_v,
        step_v=np.full(SHAPE, 0.1),
        width_s=1e-3,
        steps=steps,
        read_v=0.1,
        low_a=np.full(SHAPE, -1.0),
        high_a=np.full(SHAPE, 1.0),
    )


def test_guarded_pulse_is_checked_by_the_bench_once() -> None:
    bench, instruments = fake_bench("V/2")
    guard, asked = Guard(bench, fake_array("V/2")), instruments["on_rows"].refused
    for number in (1, 2, 3):
        guard.pulse(one_pulse("V/2"))
        assert len(asked) == number


def test_guarded_ramp_is_checked_by_the_bench_once_for_each_of_its_pulses() -> None:
    bench, instruments = fake_bench("V/2")
    Guard(bench, fake_array("V/2")).ramp(_ramp(4))
    levels_v = [points[0].level_v for points in instruments["on_rows"].refused]
    np.testing.assert_allclose(levels_v, [0.25, 0.3, 0.35, 0.4])


def test_bench_without_a_guard_checks_each_operation_itself_even_a_repeated_one() -> None:
    bench, instruments = fake_bench("V/2")
    pulse = one_pulse("V/2")
    for number in (1, 2, 3):
        bench.pulse(pulse)
        assert len(instruments["on_rows"].refused) == number


def test_check_of_one_operation_does_not_let_another_pass() -> None:
    bench, instruments = fake_bench("V/2")
    bench.check(_ramp(1))
    instruments["on_rows"].refused.clear()
    bench.pulse(one_pulse("V/2"))
    assert len(instruments["on_rows"].refused) == 1


def test_refused_operation_is_refused_again_and_reaches_no_instrument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, instruments = fake_bench("V/2")
    guard, pulse = Guard(bench, fake_array("V/2")), one_pulse("V/2")
    applied: list[str] = []
    instruments["on_rows"].applied = lambda: applied.append("pulse")

    def refuse(_: object) -> None:
        raise Unsupported("too short")

    monkeypatch.setattr(instruments["on_rows"], "refuse_train", refuse)
    for backend in (guard, bench, guard, bench):
        with pytest.raises(Unsupported, match="too short"):
            backend.pulse(pulse)
    assert applied == []
    assert not guard.pulses.any()
