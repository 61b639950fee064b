"""Two recordings compared by the figures of their devices: trains, sweeps, reads, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.datasets.measurement import LAYOUTS, Measurement
from hwloop.errors import ConfigError
from hwloop.record.comparison import Quantity
from hwloop.recordings.recording import Recording
from hwloop.recordings.sweeps import SweepSet, distance_decades, sweeps_of
from hwloop.recordings.trains import PulseTrains, trains_of
from hwloop.types import FloatArray

_SAME_PULSE = 1e-6
"""Relative difference of volts and seconds up to which two pulses are one."""

Figures = Mapping[str, tuple[float, str]]


@dataclass(frozen=True)
class Section:
    """Figures of both recordings on one matter, and how far they are apart.

    ``first``, ``second``: name → (value, unit). ``remarks``: their difference in sentences.
    ``quantities``: with a distribution in both. ``pair``: what is drawn, or None.
    """

    title: str
    first: Figures
    second: Figures
    remarks: Sequence[str]
    quantities: Sequence[Quantity]
    pair: tuple[PulseTrains, PulseTrains] | tuple[SweepSet, SweepSet] | None = None


def compare_recordings(first: Recording, second: Recording) -> list[Section]:
    """Return the sections of all kinds that both recordings hold.

    Raises :class:`ConfigError` where nothing of one stands in the other, with what each holds.
    """
    sections: list[Section] = []
    for kind in (kind for kind in first.measured if kind in second.measured):
        a, b = first.measured[kind], second.measured[kind]
        if kind == "trains":
            sections += _trains(a, b)
        elif kind == "iv":
            sections.append(_sweeps(a, b))
        else:
            sections.append(_columns(kind.replace("_", " "), a, b))
    if not sections:
        raise ConfigError(
            f"nothing to compare: {first.path} holds {_content(first)}; {second.path} holds"
            f" {_content(second)}; trains are compared where their pulses are equal, other data"
            " where both hold the same kind"
        )
    return sections


def _content(recording: Recording) -> str:
    """Return what a recording holds, for a message."""
    parts = []
    for kind, measurement in recording.measured.items():
        if kind == "trains":
            names = [one.name for one in trains_of(measurement)]
            parts.append(f"trains of {'; '.join(names[:4])}{' …' if len(names) > 4 else ''}")
        else:
            parts.append("I-V sweeps" if kind == "iv" else kind.replace("_", " "))
    return " and ".join(parts) or "no trains, sweeps, reads or cycles of cells"


def _trains(first: Measurement, second: Measurement) -> Iterator[Section]:
    others = trains_of(second)
    for a in trains_of(first):
        for b in (b for b in others if _same_pulses(a, b)):
            yield Section(
                f"trains of {a.name}",
                a.figures(),
                b.figures(),
                list(_distances(a, b)),
                list(
                    _with_spread(
                        ("step", "S", a.steps_conductance_s, b.steps_conductance_s),
                        ("after the last pulse", "S", a.ends_conductance_s, b.ends_conductance_s),
                    )
                ),
                (a, b),
            )


def _same_pulses(a: PulseTrains, b: PulseTrains) -> bool:
    """Return whether the pulses are equal as far as the shorter trains go."""
    pulses = min(a.amplitude_v.size, b.amplitude_v.size)
    return pulses > 0 and all(
        np.allclose(ours[:pulses], theirs[:pulses], rtol=_SAME_PULSE, atol=0)
        for ours, theirs in ((a.amplitude_v, b.amplitude_v), (a.width_s, b.width_s))
    )


def _distances(a: PulseTrains, b: PulseTrains) -> Iterator[str]:
    """Yield how far the mean trains are apart, as parts of the range of the first."""
    of_a, of_b = a.mean_conductance_s, b.mean_conductance_s
    common = min(of_a.size, of_b.size)
    apart = of_b[:common] - of_a[:common]
    range_conductance_s = float(np.ptp(of_a))
    if range_conductance_s == 0:
        yield "the mean train of the first does not change: no part of its range can be given"
        return
    for what, difference in (
        ("mean trains", apart),
        ("changes since the first value", apart - apart[0]),
    ):
        parts = difference / range_conductance_s
        worst = int(np.argmax(np.abs(parts)))
        yield (
            f"{what}: {100 * np.sqrt(np.mean(parts**2)):.3g} % of the range of the first apart"
            f" (rms, pulses 0 to {common - 1}), at most {100 * parts[worst]:+.3g} % (pulse {worst})"
        )


def _sweeps(first: Measurement, second: Measurement) -> Section:
    a, b = sweeps_of(first), sweeps_of(second)
    remarks = [
        f"currents on the branch {name}: {decades:.2f} decades apart (rms of the medians,"
        f" {low_v:.3g} to {high_v:.3g} V)"
        for name, low_v, high_v, decades in distance_decades(a, b)
    ]
    voltages = ((name, "V", getattr(a, name), getattr(b, name)) for name in ("set_v", "reset_v"))
    return Section(
        "I-V sweeps",
        a.figures(),
        b.figures(),
        remarks or ["no branch of both covers the same voltages"],
        list(_with_spread(*voltages)),
        (a, b),
    )


def _columns(title: str, first: Measurement, second: Measurement) -> Section:
    """Compare the conductances of any other kind by their medians, spreads and distributions."""
    names = _conductances(first)
    return Section(
        title,
        figures_of_columns(first),
        figures_of_columns(second),
        [],
        list(_with_spread(*((n, "S", first.columns[n], second.columns[n]) for n in names))),
    )


def _conductances(measurement: Measurement) -> list[str]:
    """Return the columns of measured conductances, without the targets of a programming."""
    layout = LAYOUTS[measurement.kind].columns
    names = (name for name in layout if name.endswith("conductance_s"))
    return [name for name in names if not name.startswith("target")]


def figures_of_columns(measurement: Measurement) -> Figures:
    """Return numbers of values and cells, and median and spread of each measured conductance."""
    columns = measurement.columns
    found: dict[str, tuple[float, str]] = {
        "values": (measurement.rows, ""),
        "cells": (np.unique(columns["cell"]).size, ""),
    }
    for name in _conductances(measurement):
        values, words = columns[name], name.removesuffix("_s").replace("_", " ")
        found[f"median {words}"] = float(np.median(values)), "S"
        found[f"spread of {words}"] = 100 * float(values.std() / values.mean()), "%"
    if measurement.kind == "cycling":
        ratio = columns["set_conductance_s"] / columns["reset_conductance_s"]
        found["on/off ratio"] = (float(np.median(ratio)), "")
    return found


def _with_spread(*pairs: tuple[str, str, FloatArray, FloatArray]) -> Iterator[Quantity]:
    """Yield the quantities of which both recordings have more than one finite value."""
    for name, unit, first, second in pairs:
        a, b = (one[np.isfinite(one)].reshape(1, -1) for one in (first, second))
        if a.size > 1 and b.size > 1:
            yield Quantity(name, unit, a, b)
