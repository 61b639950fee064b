"""The page about stations names every key, every instrument and every setting."""

from pathlib import Path
from typing import Any

import pytest

from hwloop import plugins
from hwloop.station.parts import Drives, InstrumentEntry, SelfTestSettings, VirtualSettings, Wiring
from hwloop.station.station import Station
from hwloop_drivers.instruments.kind import InstrumentKind

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "station.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "model", [Station, InstrumentEntry, Wiring, Drives, SelfTestSettings, VirtualSettings]
)
def test_every_key_of_a_station_is_on_its_page(model: Any) -> None:
    for key in model.model_fields:
        assert key == "about" or key in PAGE, key


@pytest.mark.parametrize("name", plugins.names(plugins.INSTRUMENTS))
def test_every_instrument_and_its_settings_are_on_the_page_and_say_what_they_rest_on(
    name: str,
) -> None:
    kind: InstrumentKind[Any] = plugins.load(plugins.INSTRUMENTS, name)
    assert f"`{name}`" in PAGE
    for key, field in kind.settings.model_fields.items():
        assert f"`{field.alias or key}" in PAGE, f"{name}: {key}"
    assert "never met hardware" in kind.proof or "no board has been built" in kind.proof
