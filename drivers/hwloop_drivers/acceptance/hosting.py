"""The station on trial: its resistors, and for a virtual station its own bench with them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveOhm
from hwloop.settings.yaml import parse_yaml, read_text
from hwloop.station.rendezvous import leave_rendezvous, rendezvous_file
from hwloop.station.station import Station, load_station
from hwloop.types import FloatArray
from hwloop_drivers.acceptance.trial import trial_array
from hwloop_drivers.virtual_bench import find, start

WITNESS = "keysight_infiniivision"


class KnownResistors(Settings):
    """Resistors in the array's place: ``resistor_ohm`` of all cells, or of each, (rows, cols)."""

    resistor_ohm: PositiveOhm | tuple[tuple[PositiveOhm, ...], ...]


@dataclass(frozen=True)
class StationOnTrial:
    """A station file as the test uses it; ``witness_address``: "" without an oscilloscope.

    ``virtual``: whether a virtual bench answers, so that the findings say nothing about a box.
    """

    file: Path
    station: Station
    text: str
    resistor_ohm: FloatArray
    array: ArraySettings
    witness_address: str
    virtual: bool


def resistors_of(station: Station, given: str | None) -> FloatArray:
    """Return the resistors, ohm, (rows, cols): as given, else ``self_test.dummy_ohm``.

    ``given``: a quantity such as "10 kohm", or a YAML file with the key ``resistor_ohm``.
    """
    shape = (station.wiring.count("row"), station.wiring.count("col"))
    if given is None:
        if station.self_test.dummy_ohm is None:
            raise ConfigError(
                "no resistors are known: give --resistors, or self_test.dummy_ohm of the station"
            )
        return np.array(station.self_test.dummy_ohm)
    path = Path(given)
    data: Any = {"resistor_ohm": given}
    if path.is_file():
        data = parse_yaml(read_text(path), file=given)
    ohm = np.array(KnownResistors.parse(data).resistor_ohm, dtype=np.float64)
    return np.broadcast_to(ohm, shape).copy() if ohm.ndim == 0 else ohm


@contextmanager
def station_on_trial(
    file: Path, *, resistors: str | None, witness: str | None
) -> Iterator[StationOnTrial]:
    """Give the station with its resistors; a virtual one with a bench of its own around them.

    ``witness``: the address of an oscilloscope in place of the station's. A virtual bench that
    runs already is used as it is.
    """
    station, text = load_station(file), read_text(file)
    resistor_ohm = resistors_of(station, resistors)
    array = trial_array(station, resistor_ohm)
    with tempfile.TemporaryDirectory(prefix="hwloop-accept-") as folder:
        own = Path(folder) / "station.yaml"
        data = parse_yaml(text, file=str(file))
        own.write_text(json.dumps(_with_resistors(data, resistor_ohm, witness)), encoding="utf-8")
        if not station.is_virtual:
            loaded = load_station(own)
            if loaded.witness is not None and loaded.witness.is_virtual:
                raise ConfigError(
                    "real and virtual addresses cannot be mixed on one bench",
                    key="witness.address",
                    file=str(file),
                )
            address = loaded.witness.address if loaded.witness else ""
            yield StationOnTrial(own, loaded, text, resistor_ohm, array, address, virtual=False)
            return
        running = find(file)
        link = running or start(own, _procedure(array), seed=0, dummy=True)
        said = {
            "station": str(own.resolve()),
            "addresses": link.addresses,
            "control": link.control,
        }
        rendezvous = rendezvous_file(own)
        leave_rendezvous(rendezvous, said)
        try:
            address = str(link.ask("who")["witness"])
            yield StationOnTrial(
                own, load_station(own), text, resistor_ohm, array, address, virtual=True
            )
        finally:
            rendezvous.unlink(missing_ok=True)
            link.close()


def _with_resistors(data: Any, resistor_ohm: FloatArray, witness: str | None) -> dict[str, Any]:
    """Return the station's data with these resistors, and with the witness that was given."""
    own = dict(data)
    own["self_test"] = {**own.get("self_test", {}), "dummy_ohm": resistor_ohm.tolist()}
    if witness is not None:
        own["witness"] = {**own.get("witness", {"kind": WITNESS}), "address": witness}
    if "virtual" in own:
        own["virtual"] = {k: v for k, v in own["virtual"].items() if k != "procedure"}
    return own


def _procedure(array: ArraySettings) -> dict[str, Any]:
    """Return a procedure that says no more than which array the virtual bench emulates."""
    device = {"model": "linear_ion_drift"}  # never asked: the resistors are in its place
    return {
        "name": "acceptance",
        "array": array.model_dump(exclude_none=True, exclude={"tiles", "pulses_before"}),
        "backends": {"sim": {"device": device}},
        "steps": [{"step": "read_map"}],
    }
