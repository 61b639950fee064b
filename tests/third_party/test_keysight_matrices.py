"""QCoDeS's own drivers, as they are, against the virtual B2200A and 34980A over TCP sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hwloop_sim.virtual.bench.servers import serve_socket
from hwloop_sim.virtual.instruments.keysight_34980a import Keysight34980A
from hwloop_sim.virtual.instruments.keysight_e5250a import KeysightE5250A
from tests.matrix_box import MatrixBox
from tests.third_party.served import ServedMatrix

pytest.importorskip("qcodes", reason="QCoDeS is not installed: pip install hwloop[third-party]")

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours

CARDS = {
    "row0": {"smu": "10101", "gnd": "10201"},
    "row1": {"smu": "10102", "gnd": "10202"},
    "col0": {"smu2": "30303", "gnd": "10203"},
    "col1": {"smu2": "10304", "gnd": "10204"},
}
MODULES = {
    "row0": {"smu": "1101", "gnd": "1301"},
    "row1": {"smu": "1102", "gnd": "1302"},
    "col0": {"smu2": "1203", "gnd": "1303"},
    "col1": {"smu2": "8101", "gnd": "1304"},
}


@contextmanager
def _served(box: MatrixBox, driver: Any) -> Iterator[Any]:
    address, stop = serve_socket(ServedMatrix(box))
    made = driver("matrix", address, visalib="@py")
    try:
        yield made
    finally:
        made.close()
        stop()


@pytest.fixture
def b2200() -> MatrixBox:
    return MatrixBox(KeysightE5250A, CARDS, settings={"model": "B2200A", "cards": [1, 3]})


def test_qcodes_routes_a_b2200_as_one_matrix(b2200: MatrixBox) -> None:
    from qcodes.instrument_drivers.Keysight.keysight_b220x import KeysightB2200

    with _served(b2200, KeysightB2200) as matrix:
        matrix.reset()
        assert matrix.get_idn()["model"] == "B2200A"
        matrix.connection_rule("free")
        matrix.connection_sequence("mbb")
        assert (matrix.connection_rule(), matrix.connection_sequence()) == ("free", "mbb")
        matrix.connect(1, 1)
        matrix.connect_paths([(3, 15), (2, 4)])  # output 15: the third of the second card
        assert matrix.connections() == {(1, 1), (3, 15), (2, 4)}
        assert b2200.closed() == {"10101", "30303", "10204"}
        matrix.disconnect(1, 1)
        matrix.disconnect_paths([(2, 4)])
        assert b2200.closed() == {"30303"}
        matrix.disconnect_all()
        assert matrix.connections() == set()
        assert matrix.get_error().lstrip("+").startswith("0")


def test_qcodes_biases_the_unused_outputs_of_a_b2200(b2200: MatrixBox) -> None:
    from qcodes.instrument_drivers.Keysight.keysight_b220x import KeysightB2200

    with _served(b2200, KeysightB2200) as matrix:
        matrix.reset()
        matrix.bias_input_port(2)
        matrix.bias_enable_all_outputs()
        matrix.bias_disable_output(3)
        matrix.bias_mode(True)
        assert (matrix.bias_input_port(), matrix.bias_mode()) == (2, True)
        channels = {channel.removeprefix("box:") for channel in b2200.circuit.closed_channels()}
        assert channels == {"10201", "10202", "10204"}  # of those that are wired
        matrix.bias_mode(False)
        matrix.gnd_input_port(12)
        matrix.gnd_mode(False)
        matrix.couple_mode(False)
        assert matrix.get_error().lstrip("+").startswith("0")


@pytest.mark.parametrize("terminals", [range(1, 9), [1]])
def test_qcodes_routes_a_34934a_and_sees_a_terminal_block_that_is_missing(
    terminals: Any,
) -> None:
    from qcodes.instrument_drivers.Keysight.keysight_34980a import Keysight34980A as Driver

    settings = {"modules": {1: "34932A", 8: "34934A-8X64"}, "terminals": list(terminals)}
    box = MatrixBox(Keysight34980A, MODULES, settings=settings)
    with _served(box, Driver) as switch:
        assert switch.get_idn()["model"] == "34980A"
        module = switch.module[8]
        assert (module.row, module.column) == (8, 64)
        module.protection_mode("AUTO0")
        assert module.protection_mode() == "AUTO0"
        module.connect(1, 1)
        blocked = 8 not in terminals
        assert box.closed() == (set() if blocked else {"8101"})
        if not blocked:
            assert module.is_closed(1, 1)
            module.connect_paths([(2, 3), (8, 64)])
            assert module.are_closed([(1, 1), (2, 3), (8, 64)]) == [True] * 3
            assert module.are_open([(1, 1), (1, 2)]) == [False, True]
            module.disconnect(1, 1)
            assert box.closed() == set()
            switch.disconnect_all(8)
            assert module.is_open(8, 64)
        assert switch.get_error().lstrip("+").startswith("0")
