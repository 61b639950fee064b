"""Scripts that would keep a virtual instrument busy, or fill its memory, without end."""

import pytest

from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.languages import tsp
from hwloop_sim.virtual.languages.scpi import ScpiError, parse_number, split_outside
from hwloop_sim.virtual.languages.tsp import MOST_BYTES, VirtualTspInstrument
from tests.virtual_link import OneBox


class Box(VirtualTspInstrument):
    """An instrument that has nothing but its language."""

    model = "1"

    def output_states(self) -> dict[str, bool]:
        return {}

    def reset(self) -> None:
        pass


@pytest.fixture
def box() -> VirtualInstrument:
    return OneBox(Box).instrument


def _error(box: VirtualInstrument) -> str:
    said = box.receive("print(errorqueue.next())") or ""
    return said.split("\t")[1]


RUNAWAY = [
    'string.find(string.rep("a", 28), string.rep("a?", 28) .. string.rep("a", 28))',
    'string.find(string.rep("a", 3000), ".-.-.-.-.-b")',
    '("a"):rep(3000):find(".-.-.-.-.-b")',
    'string.gsub(string.rep("a", 3000), ".-.-.-.-.-b", "")',
    'for x in string.gfind(string.rep("a", 3000), ".-.-.-.-.-b") do end',
    'pcall(string.find, string.rep("a", 3000), ".-.-.-.-.-b") while true do end',
    "t = {} for i = 1, 1e6 do table.insert(t, 1, i) end",
    'a = string.rep("x", 5e6) .. "a" b = string.rep("x", 5e6) .. "b" while true do c = a < b end',
]


@pytest.mark.parametrize("script", RUNAWAY)
def test_script_that_would_never_end_is_aborted_and_the_next_is_run(
    box: VirtualInstrument, script: str
) -> None:
    assert box.receive(script + ' print("never")') is None
    assert "ran for too long" in _error(box)
    assert box.receive('print("next")') == "next"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('print(string.len(string.rep("", 2147483647)))', None),
        ("table.insert({}, -2147483647, 1)", "position out of bounds"),
        ("table.insert({}, 2147483647, 1)", "position out of bounds"),
        (
            'string.find(string.rep("a", 1e7), string.rep("a", 1e6) .. "b", 1, true)',
            "string too long to search",
        ),
        ("t = {} t[1] = t print(t)", "table too large"),
        ("t = {} for i = 1, 40 do t = {t, t} end print(t)", "table too large"),
        ('error(string.rep("x", 1e6))', "x" * 100),
        ('x = string.rep("x", 1e6) for i = 1, 100 do print(x) end', "output queue full"),
        ('s = "x" while true do s = s .. s end', "Out of memory"),
        ("unpack({}, 1, 1e8)", "too many results to unpack"),
        ('string.find("a", string.rep("(", 40))', "too many captures"),
        ('string.find("a", "[")', "malformed pattern"),
    ],
)
def test_one_call_is_bounded_as_well(
    box: VirtualInstrument, script: str, error: str | None
) -> None:
    box.receive(script)
    found = _error(box)
    assert found == "Queue Is Empty" if error is None else error in found
    assert len(found) <= tsp.MOST_ERROR_TEXT
    assert box.receive('print("next")') == "next"


def test_error_of_a_pattern_is_on_the_line_of_the_script(box: VirtualInstrument) -> None:
    for line in ("loadandrunscript x", "print(1)", 'string.gsub("a", "%", "")', "endscript"):
        box.receive(line)
    assert _error(box) == "TSP Runtime error at line 2: malformed pattern (ends with '%')"


def test_script_that_is_loaded_without_an_end_is_given_up(box: VirtualInstrument) -> None:
    box.receive("loadscript x")
    line = "-" * (1 << 20)
    for _ in range(MOST_BYTES // len(line) + 1):
        box.receive(line)
    assert "Out of memory" in _error(box)
    assert box.receive('print("next")') == "next"


def test_line_of_a_megabyte_is_split_in_one_go() -> None:
    text = "'" + "x" * (1 << 20) + "';" + "y;" * 3 + "(;)"
    assert split_outside(text, ";") == ["'" + "x" * (1 << 20) + "'", "y", "y", "y", "(;)"]


@pytest.mark.parametrize("text", ["1" * 100_000 + "!", "#H" + "F" * 100_000, "1e400", "-1e309 V"])
def test_number_without_end_or_beyond_all_is_an_error(text: str) -> None:
    with pytest.raises(ScpiError):
        parse_number(text)
