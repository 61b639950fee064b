"""Instruments whose model is near the driver's own: refused with a remedy, used where allowed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hwloop.array.operations import ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.cli.main import app
from hwloop.errors import ConfigError, UnexpectedReply
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, dry_run_bench, open_bench
from hwloop_drivers.safety.by_hand import make_safe_by_hand
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench

STATION = ROOT / "stations" / "virtual_2602b_707b.yaml"
OWN = "settings: {model: 2602B}"
READ = ReadMap(np.ones((4, 4), dtype=np.bool_), 0.1)


def _request() -> OpenRequest:
    return OpenRequest(load_procedure(PROCEDURE).array, None, np.random.default_rng(0))


def _settings(station: Path) -> BenchSettings:
    return BenchSettings.parse({"station": str(station)})


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Path]:
    """The station of a 2602B, whose box is a 2602A."""
    path = copy_station(STATION, tmp_path)
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        bench.instruments["smu"].model = "2602A"  # type: ignore[attr-defined]
        yield path


def _allow(station: Path, model: str) -> None:
    text = station.read_text("utf-8")
    station.write_text(text.replace(OWN, f"accept_model: {model}, {OWN}"), "utf-8")


def test_near_model_is_refused_with_what_would_have_to_be_allowed(station: Path) -> None:
    with pytest.raises(UnexpectedReply) as caught:
        open_bench(_settings(station), _request())
    said = str(caught.value)
    assert "smu at TCPIP::" in said
    assert "expected 2602B, found 'Keithley Instruments Inc., Model 2602A, " in said
    assert said.endswith("allow it with accept_model: 2602A")
    assert "\n" not in said


def test_allowed_near_model_reads_the_array_is_recorded_and_said(station: Path) -> None:
    _allow(station, "2602A")
    with open_bench(_settings(station), _request()) as bench:
        assert isinstance(bench, Bench)
        reading = bench.perform(READ)
        identity = bench.description.identity["smu"]
        messages = [event.message for event in bench.take_events()]
    assert reading is not None
    assert np.isfinite(reading.current_a).all()
    assert isinstance(identity, dict)
    assert identity["accepted_model"] == "2602A"
    assert any("a 2602A is used because the station has accept_model" in one for one in messages)


def test_allowed_near_model_is_made_safe_by_hand(station: Path) -> None:
    _allow(station, "2602A")
    from hwloop_drivers.virtual_bench import find

    link = find(station)
    assert link is not None
    done = make_safe_by_hand(load_station(station), link.addresses, note=lambda _: None)
    link.close()
    assert done[0].startswith("smu: safe (Keithley Instruments Inc., Model 2602A")


def test_own_model_is_no_stand_in_where_another_is_allowed(tmp_path: Path) -> None:
    path = copy_station(STATION, tmp_path)
    _allow(path, "2602A")
    with (
        running_bench(path, load_procedure(PROCEDURE)),
        open_bench(_settings(path), _request()) as bench,
    ):
        identity = bench.description.identity["smu"]
    assert isinstance(identity, dict)
    assert "accepted_model" not in identity


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("2651A", "'2651A' is not near 2602B; near 2602B are 2602A or 2602"),
        ("2636A", "'2636A' is not near 2602B"),
    ],
)
def test_model_that_is_not_near_is_a_mistake_in_the_station_before_anything_is_opened(
    tmp_path: Path, model: str, said: str
) -> None:
    path = copy_station(STATION, tmp_path)
    _allow(path, model)
    with pytest.raises(ConfigError, match=rf"instruments\.smu\.accept_model: {said}"):
        dry_run_bench(_settings(path), _request())


def test_model_of_another_setting_is_named_with_that_setting(tmp_path: Path) -> None:
    path = copy_station(STATION, tmp_path)
    with running_bench(path, load_procedure(PROCEDURE)) as bench:
        bench.instruments["smu"].model = "2636B"  # type: ignore[attr-defined]
        with pytest.raises(UnexpectedReply, match=r"set settings\.model: 2636B in the station$"):
            open_bench(_settings(path), _request())


def test_run_ends_with_exit_code_4_and_one_line(station: Path, tmp_path: Path) -> None:
    arguments = ["run", str(PROCEDURE), "--station", str(station), "--out", str(tmp_path / "a.h5")]
    done = CliRunner().invoke(app, arguments)
    assert getattr(done.exception, "exit_code", done.exit_code) == 4
    said = f"{done.output}{done.exception}"
    assert "accept_model: 2602A" in said
