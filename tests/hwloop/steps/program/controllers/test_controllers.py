"""What each algorithm does next, against sequences written out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.steps.program.controllers import Alibart, GateStepped, Ispp, OneShot
from hwloop.steps.program.controllers.base import Controller, Move, PulseTrain, State, Steps


def _moves(
    controller: Controller, needs: list[int], seen_conductance_s: float | list[float] = 1e-6
) -> list[Move]:
    state = controller.begin(np.array([1e-6]))
    moves = []
    for need, now_s in zip(needs, np.broadcast_to(seen_conductance_s, len(needs)), strict=True):
        state, move = controller.move(
            state, seen_conductance_s=np.array([now_s]), need=np.array([need], np.int8)
        )
        moves.append(move)
    return moves


def _volts(moves: list[Move]) -> list[float]:
    return [round(float(move.amplitude_v[0]), 9) for move in moves]


UP: dict[str, Any] = {
    "amplitude": {"start_v": 0.5, "stop_v": 0.7, "step_v": 0.1},
    "width_s": 1e-6,
}
DOWN: dict[str, Any] = {"amplitude": -0.4, "width_s": 1e-6}


def test_alibart_grows_on_one_side_and_begins_anew_after_an_overshoot() -> None:
    alibart = Alibart.parse({"name": "alibart", "up": UP, "down": DOWN})
    moves = _moves(alibart, [1, 1, 1, 1, -1, 1, 0])
    assert _volts(moves) == [0.5, 0.6, 0.7, 0.7, -0.4, 0.5, 0.0]
    assert [bool(move.at_end[0]) for move in moves] == [0, 0, 1, 1, 1, 0, 0]


def test_ispp_without_an_erase_gives_up_a_cell_that_has_gone_over() -> None:
    moves = _moves(Ispp.parse({"name": "ispp", "write": UP}), [1, -1])
    assert _volts(moves) == [0.5, 0.0]
    assert moves[1].given_up.all()


def test_ispp_writes_as_often_as_it_has_attempts() -> None:
    ispp = Ispp.parse({"name": "ispp", "write": UP, "erase": DOWN, "attempts": 2})
    moves = _moves(ispp, [1, -1, 1, 1, -1])
    assert _volts(moves) == [0.5, -0.4, 0.5, 0.6, 0.0]
    assert [bool(move.given_up[0]) for move in moves] == [0, 0, 0, 0, 1]


def test_gate_stepped_begins_at_the_gate_that_the_target_says() -> None:
    gate = {"start_v": 1.0, "stop_v": 3.0, "step_v": 0.1}
    settings = {
        "name": "gate_stepped",
        "set": {"amplitude": 1.5, "gate": gate, "width_s": 1e-7},
        "reset": {"amplitude": -2.0, "gate": 4.0, "width_s": 1e-7},
        "begin_gate": [[0.5e-6, 1.5], [1.5e-6, 2.5]],
    }
    moves = _moves(GateStepped.parse(settings), [1, 1, -1, 1])
    gates = [round(float(m.gate_v[0]), 9) for m in moves if m.gate_v is not None]
    assert gates == [2.0, 2.1, 4.0, 2.0]


GATE_STEPPED: dict[str, Any] = {
    "name": "gate_stepped",
    "set": {
        "amplitude": 1.5,
        "gate": {"start_v": 1.0, "stop_v": 1.2, "step_v": 0.1},
        "width_s": 1e-7,
    },
    "reset": {"amplitude": -2.0, "gate": 4.0, "width_s": 1e-7},
}


def _gates(moves: list[Move]) -> list[float]:
    return [round(float(m.gate_v[0]), 9) for m in moves if m.gate_v is not None]


def test_gate_stepped_stays_at_its_last_gate_and_never_resets_a_cell_that_is_short() -> None:
    moves = _moves(GateStepped.parse(GATE_STEPPED), [1] * 5)
    assert _gates(moves) == [1.0, 1.1, 1.2, 1.2, 1.2]
    assert _volts(moves) == [1.5] * 5
    assert [bool(move.at_end[0]) for move in moves] == [0, 0, 1, 1, 1]


def test_gate_stepped_resets_until_the_cell_is_as_low_as_it_was_told_and_sets_from_the_start() -> (
    None
):
    needs, seen_conductance_s = [1, 1, -1, 1, 1, 1], [10e-6, 12e-6, 90e-6, 40e-6, 5e-6, 12e-6]
    told = GateStepped.parse({**GATE_STEPPED, "reset_to_conductance_s": 5e-6})
    moves = _moves(told, needs, seen_conductance_s)
    assert _volts(moves) == [1.5, 1.5, -2.0, -2.0, 1.5, 1.5]
    assert _gates(moves) == [1.0, 1.1, 4.0, 4.0, 1.0, 1.1]
    untold = _moves(GateStepped.parse(GATE_STEPPED), needs, seen_conductance_s)
    assert _volts(untold) == [1.5, 1.5, -2.0, 1.5, 1.5, 1.5]


def test_gate_stepped_spares_a_cell_that_is_in_its_window_on_the_way_down() -> None:
    told = GateStepped.parse({**GATE_STEPPED, "reset_to_conductance_s": 5e-6})
    moves = _moves(told, [1, -1, 0], [10e-6, 90e-6, 40e-6])
    assert _volts(moves) == [1.5, -2.0, 0.0]
    assert _gates(moves) == [1.0, 4.0, 0.0]
    assert [move.side.tolist() for move in moves] == [[1], [-1], [0]]
    assert {move.side.dtype for move in moves} == {np.dtype(np.int8)}


def test_gate_stepped_gives_up_after_its_attempts() -> None:
    moves = _moves(GateStepped.parse({**GATE_STEPPED, "attempts": 2}), [1, -1, 1, -1])
    assert _volts(moves) == [1.5, -2.0, 1.5, 0.0]
    assert [bool(move.given_up[0]) for move in moves] == [0, 0, 0, 1]


def test_a_gate_that_the_target_says_stays_between_the_ends_of_its_steps() -> None:
    steps = Steps(start_v=1.0, stop_v=2.0, step_v=0.1)
    table = [(3e-6, 2.5), (1e-6, 0.5)]
    target_conductance_s = np.array([0.5e-6, 1.25e-6, 2e-6, 2.75e-6, 9e-6])
    np.testing.assert_allclose(
        steps.first_v(target_conductance_s, table), [1.0, 1.0, 1.5, 2.0, 2.0]
    )


def test_ispp_lowers_the_conductance_where_it_was_told_so_and_erases_upwards() -> None:
    settings = {
        "name": "ispp",
        "write": {"amplitude": {"start_v": -0.5, "stop_v": -0.7, "step_v": 0.1}, "width_s": 1e-6},
        "erase": {"amplitude": 0.4, "width_s": 1e-6},
        "raises": False,
        "attempts": 9,
    }
    moves = _moves(Ispp.parse(settings), [-1, -1, 1, -1])
    assert _volts(moves) == [-0.5, -0.6, 0.4, -0.5]
    assert [int(move.side[0]) for move in moves] == [-1, -1, 1, -1]
    until = _moves(
        Ispp.parse({**settings, "erase_to_conductance_s": 8e-6}),
        [-1, 1, -1, -1],
        [9e-6, 1e-6, 5e-6, 8e-6],
    )
    assert _volts(until) == [-0.5, 0.4, 0.4, -0.5]


def test_ispp_erases_down_to_the_conductance_it_was_told() -> None:
    settings = {
        "name": "ispp",
        "write": UP,
        "erase": DOWN,
        "erase_to_conductance_s": 2e-6,
        "attempts": 9,
    }
    seen_conductance_s = [5e-6, 9e-6, 5e-6, 2e-6]
    assert _volts(_moves(Ispp.parse(settings), [1, -1, 1, 1], seen_conductance_s)) == [
        0.5,
        -0.4,
        -0.4,
        0.5,
    ]


def test_ispp_without_an_erase_gives_up_a_cell_that_is_beyond_from_the_beginning() -> None:
    (move,) = _moves(Ispp.parse({"name": "ispp", "write": UP}), [-1])
    assert move.given_up.all()
    assert _volts([move]) == [0.0]


def test_states_and_moves_are_kept_cell_by_cell() -> None:
    numbers = np.arange(3)
    which = np.array([True, False, True])
    state = State(numbers.astype(np.int8), numbers + 10, numbers + 20, numbers + 30, None).kept(
        which
    )
    assert [state.side.tolist(), state.number.tolist()] == [[0, 2], [10, 12]]
    assert [state.turns.tolist(), state.erases.tolist()] == [[20, 22], [30, 32]]
    assert state.begin_v is None
    begun = State.new((3,), np.array([0.1, 0.2, 0.3])).kept(which)
    assert begun.begin_v is not None
    assert begun.begin_v.tolist() == [0.1, 0.3]
    move = Move(numbers.astype(np.int8), numbers + 0.5, numbers + 1.5, numbers == 2, numbers == 0)
    kept = move.kept(which)
    assert [kept.side.tolist(), kept.amplitude_v.tolist()] == [[0, 2], [0.5, 2.5]]
    assert kept.gate_v is not None
    assert kept.gate_v.tolist() == [1.5, 3.5]
    assert [kept.at_end.tolist(), kept.given_up.tolist()] == [[False, True], [True, False]]
    assert replace(move, gate_v=None).kept(which).gate_v is None


def test_ispp_begins_again_after_a_whole_train_that_fell_short_if_told_so() -> None:
    settings = {"name": "ispp", "write": UP, "erase": DOWN, "attempts": 2}
    needs = [1, 1, 1, 1, 1, 1, 1, 1]
    assert _volts(_moves(Ispp.parse(settings), needs)) == [0.5, 0.6, *[0.7] * 6]
    moves = _moves(Ispp.parse({**settings, "begin_again": True}), needs)
    assert _volts(moves) == [0.5, 0.6, 0.7, -0.4, 0.5, 0.6, 0.7, 0.0]
    assert moves[-1].given_up.all()


def test_ispp_gives_up_a_cell_that_has_had_its_erases() -> None:
    settings = {"name": "ispp", "write": UP, "erase": DOWN, "attempts": 9, "most_erases": 2}
    moves = _moves(Ispp.parse(settings), [1, 1, 1, -1, -1, 1, -1])
    assert _volts(moves) == [0.5, 0.6, 0.7, -0.4, -0.4, 0.5, 0.0]
    assert moves[-1].given_up.all()


def test_a_train_has_as_many_pulses_as_its_longer_steps() -> None:
    gate = {"start_v": 1.8, "stop_v": 3.5, "step_v": 0.1}
    assert PulseTrain.parse({**UP, "gate": gate}).pulses == 18
    assert PulseTrain.parse({**UP, "gate": {**gate, "stop_v": 3.55}}).pulses == 19
    assert (PulseTrain.parse(UP).pulses, PulseTrain.parse(DOWN).pulses) == (3, 1)


ONE_SHOT: dict[str, Any] = {
    "name": "one_shot",
    "curve": [[3e-6, 0.9], [1e-6, 0.5]],
    "width_s": 1e-6,
}


def test_one_shot_gives_the_volts_of_its_curve_once_and_then_no_more() -> None:
    one_shot = OneShot.parse(ONE_SHOT)
    state = one_shot.begin(np.array([1e-6, 1.5e-6, 3e-6, 0.9e-6, 5e-6, 2e-6]))
    seen_conductance_s = np.full(6, 1e-6)
    # One is within its window from the beginning; one is above, and gets the pulse all the same.
    need = np.array([1, -1, 1, 1, 1, 0], np.int8)
    state, move = one_shot.move(state, seen_conductance_s=seen_conductance_s, need=need)
    np.testing.assert_allclose(move.amplitude_v, [0.5, 0.6, 0.9, 0, 0, 0], rtol=1e-12)
    assert move.side.tolist() == [1, 1, 1, 0, 0, 0]
    assert move.given_up.tolist() == [False, False, False, True, True, False]
    assert move.gate_v is None
    after = np.array([0, 1, -1, 1, 1, 0], np.int8)
    _, move = one_shot.move(state, seen_conductance_s=seen_conductance_s, need=after)
    assert move.amplitude_v.tolist() == [0] * 6
    assert move.given_up.tolist() == [False, True, True, True, True, False]


def test_one_shot_gives_up_cells_whose_targets_it_was_not_told() -> None:
    one_shot = OneShot.parse(ONE_SHOT)
    need = np.array([1, 0], np.int8)
    _, move = one_shot.move(State.new((2,)), seen_conductance_s=np.full(2, 1e-6), need=need)
    assert move.given_up.tolist() == [True, False]
    assert move.amplitude_v.tolist() == [0.0, 0.0]


def test_one_shot_opens_the_gate_of_the_cells_that_get_their_pulse_and_of_no_other() -> None:
    one_shot = OneShot.parse(ONE_SHOT | {"gate_v": 3.0})
    state = one_shot.begin(np.array([1e-6, 3e-6, 9e-6]))
    _, move = one_shot.move(
        state, seen_conductance_s=np.full(3, 1e-7), need=np.array([1, 0, 1], np.int8)
    )
    assert move.gate_v is not None
    assert move.gate_v.tolist() == [3.0, 0.0, 0.0]
    assert move.gate_v.dtype == np.float64
    assert move.amplitude_v.tolist() == [0.5, 0.0, 0.0]


def test_one_shot_takes_the_gate_from_its_curve_if_told_so() -> None:
    settings = {"vary": "gate", "amplitude_v": -2.0, "raises": False}
    one_shot = OneShot.parse(ONE_SHOT | settings)
    up, down = one_shot.trains
    assert up is None
    assert down is not None
    state = one_shot.begin(np.array([2e-6, 9e-6]))
    _, move = one_shot.move(
        state, seen_conductance_s=np.full(2, 5e-6), need=np.array([-1, -1], np.int8)
    )
    assert move.gate_v is not None
    np.testing.assert_allclose(move.gate_v, [0.7, 0], rtol=1e-12)
    assert move.amplitude_v.tolist() == [-2.0, 0.0]
    assert move.side.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"curve": [[1e-6, 0.5]]}, "at least 2"),
        ({"curve": [[1e-6, -0.5], [2e-6, 0.5]]}, "of one sign"),
        ({"vary": "gate"}, "needs amplitude_v"),
        ({"vary": "gate", "amplitude_v": 1.0, "gate_v": 2.0}, "leave gate_v out"),
        ({"amplitude_v": 1.0}, "leave amplitude_v out"),
    ],
)
def test_one_shot_refuses_a_curve_that_does_not_say_one_pulse(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        OneShot.parse(ONE_SHOT | settings)
