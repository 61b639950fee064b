"""Boxes that an earlier client left with prompts, other ends of lines, or in another mode."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, ReadMap
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError, InstrumentFault, InstrumentTimeout, UnexpectedReply
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.safety.by_hand import make_safe_by_hand
from hwloop_drivers.virtual_bench import find
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

ALL = np.ones((4, 4), dtype=np.bool_)
TSP_LEFT = {
    "prompts": ["localnode.prompts = 1"],
    "prompts and an error": ["localnode.prompts = 1", "no_such_name.at_all = 1"],
    "prompts in a script half sent": ["localnode.prompts = 1", "loadscript left", "x = 1"],
    "errors shown": ["localnode.showerrors = 1", "no_such_name.at_all = 1"],
}
NAMES = {"virtual_2602b_707b": "smu", "virtual_4x4": "rows", "virtual_2450_33500b_3706a": "smu"}


@contextmanager
def _left(
    folder: Path, station: str, *, replaced: Mapping[str, str] | None = None, **virtual: object
) -> Iterator[tuple[Path, VirtualBench]]:
    """A running bench of a station whose boxes were left so; ``replaced``: texts of its file."""
    lines = "\n".join(f"  {key}: {value!r}" for key, value in virtual.items())
    path = copy_station(
        ROOT / "stations" / f"{station}.yaml",
        folder,
        **{"\nvirtual:\n": f"\nvirtual:\n{lines}\n"},
        **(replaced or {}),
    )
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        yield path, bench


def _runs(path: Path) -> None:
    """A read, a pulse and a read go as ever."""
    procedure = load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    with open_bench(BenchSettings.parse({"station": str(path)}), request) as bench:
        before = bench.perform(ReadMap(ALL, 0.1))
        bench.perform(PulseMap(np.where(ALL, 1.0, 0.0), 1e-2))
        after = bench.perform(ReadMap(ALL, 0.1))
    assert before is not None
    assert after is not None
    assert np.isfinite(before.current_a).all()
    assert (after.current_a > 0).all()


def _safe(path: Path) -> list[str]:
    link = find(path)
    assert link is not None
    try:
        return make_safe_by_hand(load_station(path), link.addresses, note=lambda _: None)
    finally:
        link.close()


@pytest.mark.parametrize("do", [_runs, _safe], ids=["run", "safe"])
@pytest.mark.parametrize("left", TSP_LEFT.values(), ids=TSP_LEFT)
def test_2600b_left_with_prompts_runs_and_is_made_safe(
    tmp_path: Path, left: list[str], do: Callable[[Path], object]
) -> None:
    """web help of the 2600B, localnode.prompts: a reset leaves them on."""
    with _left(tmp_path, "virtual_2602b_707b", earlier_messages={"smu": left}) as (path, bench):
        do(path)
        assert not any(bench.status()["outputs_on"].values())


@pytest.mark.parametrize("instrument", ["smu", "matrix"])
def test_every_tsp_box_may_have_prompts_on(tmp_path: Path, instrument: str) -> None:
    left = {instrument: TSP_LEFT["prompts"]}
    with _left(tmp_path, "virtual_2602b_707b", earlier_messages=left) as (path, _):
        _runs(path)


@pytest.mark.parametrize("ends", ["CR LF", "LF CR"])
@pytest.mark.parametrize("do", [_runs, _safe], ids=["run", "safe"])
@pytest.mark.parametrize("station", ["virtual_4x4", "virtual_2602b_707b"])
def test_lines_that_end_with_both_are_understood(
    tmp_path: Path, station: str, do: Callable[[Path], object], ends: str
) -> None:
    """2400 user's manual, 13-19; the 7001 too: any combination of CR and LF."""
    names = load_station(ROOT / "stations" / f"{station}.yaml").instruments
    with _left(tmp_path, station, line_ends=dict.fromkeys(names, ends)) as (path, bench):
        do(path)
        assert not any(bench.status()["outputs_on"].values())


@pytest.mark.parametrize("interface", ["socket", "serial"])
def test_line_that_ends_with_cr_names_the_terminator(tmp_path: Path, interface: str) -> None:
    matrix = "keithley_7001, address: virtual:"
    replaced = {f"{matrix}socket": f"{matrix}{interface}, settings: {{timeout_s: 0.5}}"}
    with _left(tmp_path, "virtual_4x4", replaced=replaced, line_ends={"matrix": "CR"}) as (
        path,
        bench,
    ):
        with pytest.raises(
            InstrumentTimeout, match=r"no answer to '\*IDN\?' within 0.5 s"
        ) as caught:
            _runs(path)
        assert r"set the instrument's terminator to LF, or read_termination to '\r'" in str(
            caught.value
        )
        assert "matrix at " in str(caught.value)
        with pytest.raises(BackendError, match=r"NOT EVERYTHING IS SAFE: matrix .*terminator"):
            _safe(path)
        assert not any(bench.status()["outputs_on"].values())


MODES = {
    "list sweep under way": (
        "virtual_4x4",
        "row_smu",
        [":SOUR:FUNC VOLT", ":SOUR:LIST:VOLT 2,1,2", ":SOUR:VOLT:MODE LIST", ":TRIG:COUN 3"],
    ),
    "current source, output on, other ranges": (
        "virtual_4x4",
        "col_smu",
        [":SOUR:VOLT:RANG 200", ":SOUR:VOLT 20", ":SENS:CURR:PROT 1E-5", ":OUTP ON"],
    ),
    "other form of readings": ("virtual_4x4", "col_smu", [":FORM:ELEM VOLT,CURR,TIME"]),
    "errors in the queue": ("virtual_4x4", "matrix", [":NONSENSE", ":MORE:NONSENSE"]),
    "output on at 5 V": (
        "virtual_2602b_707b",
        "smu",
        ["smua.source.levelv = 5 smua.source.output = 1", "format.asciiprecision = 2"],
    ),
    "channels closed": ("virtual_2602b_707b", "matrix", ["channel.close('1A01,1B05,1A05')"]),
}


@pytest.mark.parametrize("do", [_runs, _safe], ids=["run", "safe"])
@pytest.mark.parametrize(("station", "name", "left"), MODES.values(), ids=MODES)
def test_box_left_in_another_mode_runs_and_is_made_safe(
    tmp_path: Path, station: str, name: str, left: list[str], do: Callable[[Path], object]
) -> None:
    with _left(tmp_path, station, earlier_messages={name: left}) as (path, bench):
        do(path)
        assert not any(bench.status()["outputs_on"].values())
        assert all(abs(level_v) < 1e-6 for level_v in bench.status()["lines_v"].values())


@pytest.mark.parametrize(("speaks", "driver"), [("TSP", "scpi"), ("SCPI", "tsp")])
def test_2450_that_speaks_another_language_is_named_with_the_remedy(
    tmp_path: Path, speaks: str, driver: str
) -> None:
    """2450 reference manual, B-5: *LANG."""
    station = "virtual_2450_33500b_3706a"
    text = (ROOT / "stations" / f"{station}.yaml").read_text("utf-8")
    name = re.findall(r"(\w+): +\{kind: keithley_2450", text)[0]
    with _left(tmp_path, station, earlier_messages={name: [f"*LANG {speaks}"]}) as (path, bench):
        said = re.sub(r"language: \w+", f"language: {driver}", path.read_text("utf-8"))
        if "language:" not in said:
            said = said.replace(
                "kind: keithley_2450,", f"kind: keithley_2450, settings: {{language: {driver}}},"
            )
        path.write_text(said, "utf-8")
        with pytest.raises(UnexpectedReply) as caught:
            _runs(path)
        assert f"the 2450 speaks {speaks}, the station says language: {driver}" in str(caught.value)
        assert f"send *LANG {driver.upper()} and switch it off and on" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not any(bench.status()["outputs_on"].values())


ANSWERS = {
    "readings with units": (r"(^[+-]\d\.\d+E[+-]\d+)", r"\1A", "not a number"),
    "hexadecimal status": (r"(^[+-]\d\.\d+E[+-]\d+),[^,;]+", r"\1,#H10", "not a number"),
    "decimal commas": (r"(^[+-]\d)\.(\d)", r"\1,\2", "answered"),
    "an identity of nothing": (r"^KEITHLEY.*", "", "expected 2400"),
}


@pytest.mark.parametrize(("form", "other", "said"), ANSWERS.values(), ids=ANSWERS)
def test_firmware_that_answers_otherwise_ends_the_run_in_one_line_and_all_is_safe(
    tmp_path: Path, form: str, other: str, said: str
) -> None:
    with _left(tmp_path, "virtual_4x4") as (path, bench):
        box = bench.instruments["col_smu"]
        receive = box.receive

        def otherwise(message: str) -> str | None:
            reply = receive(message)
            return reply if reply is None else re.sub(form, other, reply)

        box.receive = otherwise  # type: ignore[method-assign]
        with pytest.raises(UnexpectedReply, match=said) as caught:
            _runs(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).count("col_smu") >= 1
        assert not any(bench.status()["outputs_on"].values())


CHANGED = {
    "compliance": ("virtual_4x4", "row_smu", ":SENS:CURR:PROT 0.5", "compliance_current_a"),
    "source range": ("virtual_4x4", "col_smu", ":SOUR:VOLT:RANG 200", "source_range_v"),
    "compliance of a channel": (
        "virtual_2602b_707b",
        "smu",
        "smua.source.limiti = 0.5",
        "a.compliance_current_a",
    ),
}


@pytest.mark.parametrize(("station", "name", "message", "setting"), CHANGED.values(), ids=CHANGED)
def test_limit_or_range_that_changes_under_a_run_is_noticed_at_the_next_look_at_the_lines(
    tmp_path: Path, station: str, name: str, message: str, setting: str
) -> None:
    procedure = load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    pulse, read = PulseMap(np.where(ALL, 0.5, 0.0), 1e-2), ReadMap(ALL, 0.1)

    def train(bench: CrossbarBackend, updates: int) -> None:
        for _ in range(updates):
            bench.perform(read)
            bench.perform(pulse)

    with _left(tmp_path, station) as (path, virtual):
        with open_bench(BenchSettings.parse({"station": str(path)}), request) as bench:
            train(bench, 20)  # the looks before it find nothing
            virtual.instruments[name].receive(message)
            with pytest.raises(InstrumentFault, match=rf"{name}: {setting} was .* and is .* now"):
                train(bench, 400)
        assert not any(virtual.status()["outputs_on"].values())
