"""Backends are found by what they can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop import plugins
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import BackendKind, OpenRequest
from hwloop.backend.origin import recorded_origin, replayed
from hwloop.backend.registered import backend_for, backend_taking, emulator
from hwloop.errors import ConfigError
from hwloop.procedure.sections import calibration_override, file_override
from hwloop.settings.model import Settings
from tests.hwloop.spy import SpyBackend, array_settings


class Wired(Settings):
    """Settings of a backend that stands behind a station."""

    station: Path


def _opens(_settings: Settings, _request: OpenRequest) -> CrossbarBackend:
    return SpyBackend()


def _kind(name: str, settings: type[Settings] = Settings, **more: Any) -> BackendKind[Any]:
    return BackendKind(name, "", settings, _opens, **more)


def _put(monkeypatch: pytest.MonkeyPatch, *kinds: BackendKind[Any]) -> None:
    """Register ``kinds`` and one backend whose package cannot be imported."""
    known = {kind.name: kind for kind in kinds}

    def load(_group: str, name: str) -> BackendKind[Any]:
        if name not in known:
            raise ConfigError(f"backend {name!r} cannot be loaded")
        return known[name]

    monkeypatch.setattr(plugins, "names", lambda _group: ["broken", *known])
    monkeypatch.setattr(plugins, "load", load)


def test_pulses_count_in_the_life_of_what_the_backend_reaches() -> None:
    settings = Settings.parse({})
    assert _kind("twin").life_of(settings) is None
    assert _kind("lab", touches_hardware=True).life_of(settings) == "physical"
    stands_in = _kind("lab", touches_hardware=True, life=lambda _settings: "virtual")
    assert stands_in.life_of(settings) == "virtual"


@pytest.mark.parametrize(
    ("station", "life"), [("virtual_4x4", "virtual"), ("serial_board_4x4", "physical")]
)
def test_a_bench_of_virtual_instruments_wears_a_virtual_array(station: str, life: str) -> None:
    bench = backend_taking("station")
    file = Path(__file__).parents[3] / "stations" / f"{station}.yaml"
    assert bench.life_of(bench.settings.parse({"station": str(file)})) == life


@pytest.mark.parametrize(
    ("station", "origin"), [("virtual_4x4", "emulated"), ("serial_board_4x4", "measured")]
)
def test_only_a_station_of_real_instruments_measures(station: str, origin: str) -> None:
    bench = backend_taking("station")
    file = Path(__file__).parents[3] / "stations" / f"{station}.yaml"
    assert bench.origin_of(bench.settings.parse({"station": str(file)})) == origin


def test_a_backend_measures_where_it_wears_a_physical_array_unless_it_says_otherwise() -> None:
    settings = Settings.parse({})
    assert _kind("twin", twins=True).origin_of(settings) == "emulated"
    assert _kind("lab", touches_hardware=True).origin_of(settings) == "measured"
    says = _kind("lab", touches_hardware=True, origin=lambda _settings: "emulated")
    assert says.origin_of(settings) == "emulated"


def test_a_replay_of_a_replay_still_says_what_was_measured() -> None:
    assert replayed("measured") == "replayed, measured"
    assert replayed(replayed("emulated")) == "replayed, emulated"
    assert replayed(recorded_origin(None)) == "not recorded"
    assert [recorded_origin(one) for one in ("measured", "replayed, emulated", "so")] == [
        "measured",
        "replayed, emulated",
        "not recorded",
    ]


@pytest.mark.parametrize(
    ("named", "given", "chosen"),
    [
        (None, (), "sim"),
        (None, ("station",), "bench"),
        (None, ("recording",), "replay"),
        ("bench", ("station",), "bench"),
        ("replay", (), "replay"),
    ],
)
def test_the_file_that_is_given_decides_the_backend(
    named: str | None, given: tuple[str, ...], chosen: str
) -> None:
    files = {key: Path("x") if key in given else None for key in ("recording", "station")}
    assert backend_for(named, files) == chosen


@pytest.mark.parametrize(
    ("named", "given", "message"),
    [
        ("sim", ("station",), "--station is for backend 'bench', which --backend sim contradicts"),
        ("sim", ("recording",), "--recording is for backend 'replay', which --backend sim"),
        ("bench", ("recording",), "--recording is for backend 'replay', which --backend bench"),
        (None, ("recording", "station"), "--station is for backend 'bench', which --recording"),
    ],
)
def test_a_file_for_another_backend_than_the_one_chosen_is_refused(
    named: str | None, given: tuple[str, ...], message: str
) -> None:
    files = {key: Path("x") if key in given else None for key in ("recording", "station")}
    with pytest.raises(ConfigError, match=message):
        backend_for(named, files)


def test_the_shipped_backends_are_found_without_their_names() -> None:
    assert emulator().name == "sim"
    assert backend_taking("station").name == "bench"
    assert backend_taking("recording").name == "replay"


def test_a_backend_that_cannot_be_imported_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _put(monkeypatch, _kind("lab", twins=True), _kind("probe", Wired))
    assert emulator().name == "lab"
    assert backend_taking("station").name == "probe"


def test_of_two_that_would_do_the_named_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, _kind("one", Wired, twins=True), _kind("two", Wired, twins=True))
    assert emulator("two").name == backend_taking("station", "two").name == "two"
    with pytest.raises(ConfigError, match="more than one backend emulates an array: one, two"):
        emulator()


def test_none_that_would_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, _kind("probe"))
    with pytest.raises(ConfigError, match="no installed backend emulates an array"):
        emulator("probe")
    with pytest.raises(ConfigError, match="no installed backend has a setting 'station'"):
        backend_taking("station")


def test_a_file_goes_to_the_section_of_the_backend_that_has_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _put(monkeypatch, _kind("probe", Wired), _kind("lab", twins=True))
    file = tmp_path / "a.yaml"
    assert file_override("station", file, "lab") == f"backends.probe.station={file.as_posix()}"


def test_an_emulator_says_itself_how_a_calibration_enters_its_section(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def enter(section: Mapping[str, Any], reference: str) -> dict[str, Any]:
        return {"kept": section["seen"], "model_of": reference}

    _put(monkeypatch, _kind("lab", twins=True, with_calibration=enter))
    data = {"backends": {"lab": {"seen": 1}}}
    assert calibration_override(data, "mine") == ('backends.lab={"kept": 1, "model_of": "mine"}')


def test_an_emulator_without_calibrations_refuses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, _kind("lab", twins=True))
    with pytest.raises(ConfigError, match="backend 'lab' takes no calibration"):
        calibration_override({}, "mine")


def test_hardware_without_a_dry_run_is_never_opened_for_a_question() -> None:
    request = OpenRequest(array_settings(), None, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="cannot be previewed without touching hardware"):
        _kind("probe", touches_hardware=True).open_dry(Settings(), request)
    assert isinstance(_kind("lab").open_dry(Settings(), request), SpyBackend)
