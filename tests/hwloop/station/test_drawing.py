"""The drawing of a station's wires."""

from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop.station.drawing import draw_wiring, wiring_figure
from hwloop.station.station import load_station

STATIONS = sorted((Path(__file__).parents[3] / "stations").glob("*.yaml"))


@pytest.mark.parametrize("path", STATIONS, ids=lambda path: path.stem)
def test_every_wire_of_every_example_is_drawn_with_its_channel(path: Path) -> None:
    station = load_station(path)
    words = [text.get_text() for text in wiring_figure(station).axes[0].texts]
    for wire in station.wires():
        assert (wire.channel or "soldered") in words
    assert [word for word in words if word in station.wiring.lines] == list(station.wiring.lines)


def test_drawing_is_written_once_and_only_in_a_known_form(tmp_path: Path) -> None:
    station = load_station(STATIONS[0])
    draw_wiring(station, tmp_path / "w.svg")
    assert (tmp_path / "w.svg").read_text(encoding="utf-8").count("<svg") == 1
    with pytest.raises(FileExistsError, match=r"w\.svg exists"):
        draw_wiring(station, tmp_path / "w.svg")
    with pytest.raises(ConfigError, match=r"one of \.png, \.svg, \.pdf"):
        draw_wiring(station, tmp_path / "w.gif")
