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
from hwloop.backend.registered import backend_taking, emulator
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
