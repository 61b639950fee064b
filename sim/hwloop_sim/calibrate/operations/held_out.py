"""Part of the reads that is held out, and how well a fit to the others predicts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.method import HeldOut
from hwloop_sim.calibrate.operations.fit import OperationFit
from hwloop_sim.calibrate.operations.history import History, levels

BETWEEN = "every second read"
"""Description of reads left out that lie between fitted ones."""
_DECADE = 10.0
_BEGINNING = 0.25
"""Share of the largest voltage up to which the first points of a sweep tell where it begins."""
_LEVELS = 20
"""Voltages of a sweep, of each sign, between which currents are averaged."""
_SAME_VOLTAGE = 0.01
"""Share of the largest voltage within which two are the same."""
_SHOWN = 0.1
"""Share of the largest voltage below which a current may be the offset of its meter."""


@dataclass(frozen=True, eq=False)
class PredictedReads:
    """Prediction of half of the reads by a fit to the other half.

    ``of``: description of the reads. ``predicted_conductance_s``, ``held_conductance_s``: of each
    read that was left out, siemens. ``fitted_conductance_s``: of those that were fitted.
    ``held_level``, ``fitted_level``: voltages of these reads over the largest, as
    :func:`levels` has them; None where all are alike. ``repeat_conductance_s``: mean of the
    fitted repeats of each read left out, NaN where there is none.
    """

    of: str
    predicted_conductance_s: FloatArray
    held_conductance_s: FloatArray
    fitted_conductance_s: FloatArray
    held_level: FloatArray | None = None
    fitted_level: FloatArray | None = None
    repeat_conductance_s: FloatArray | None = None

    @property
    def reads(self) -> int:
        """Return the number of reads predicted."""
        return self.held_conductance_s.size

    @property
    def _levels(self) -> tuple[FloatArray, FloatArray]:
        held, fitted = self.held_level, self.fitted_level
        if held is None or fitted is None:
            return np.ones(self.held_conductance_s.size), np.ones(self.fitted_conductance_s.size)
        return held, fitted

    def errors(self) -> tuple[float, float]:
        """Compute the root mean square error over the range, and that of the fitted reads' mean.

        Of sweeps both are those of currents, and the mean is that at the same voltage.
        """
        own, of_mean, _ = self._of_range()
        return own, of_mean

    def scatter(self) -> float | None:
        """Compute how far the reads are from the mean of fitted repeats; None without repeats."""
        return self._of_range()[2]

    def _of_range(self) -> tuple[float, float, float | None]:
        held_level, fitted_level = self._levels
        held = np.abs(held_level) * self.held_conductance_s
        fitted = np.abs(fitted_level) * self.fitted_conductance_s
        span = float(np.ptp(np.concatenate([held, fitted])))
        mean = _at_level(fitted, fitted_level, held_level)
        own = _rms(np.abs(held_level) * self.predicted_conductance_s - held)
        scatter = None
        if self.repeat_conductance_s is not None:
            off = np.abs(held_level) * self.repeat_conductance_s - held
            if np.isfinite(off).any():
                scatter = _rms(off[np.isfinite(off)]) / span
        return own / span, _rms(mean - held) / span, scatter

    def decades(self) -> tuple[float, float] | None:
        """Compute the first two in decades; None if the reads span no more than one."""
        held_level, fitted_level = self._levels
        held, fitted = self.held_conductance_s, self.fitted_conductance_s
        shown = (np.abs(held_level) >= _SHOWN) & (held > 0)
        if not shown.any() or held[shown].max() <= _DECADE * held[shown].min():
            return None
        # What is below all that was read counts as the least of it.
        least = held[shown].min()
        predicted, held, fitted = (
            np.log10(np.maximum(one, least))
            for one in (self.predicted_conductance_s[shown], held[shown], fitted)
        )
        mean = _at_level(fitted, fitted_level, held_level[shown])
        return _rms(predicted - held), _rms(mean - held)

    def held_out(self) -> HeldOut:
        """Return errors and the entry of the calibration file."""
        error, of_mean, scatter = self._of_range()
        figures: dict[str, object] = {
            "of": self.of,
            "reads": self.reads,
            "error_of_range": error,
            "error_of_mean": of_mean,
        }
        if scatter is not None:
            figures["scatter_of_repeats"] = scatter
        if (decades := self.decades()) is None:
            return HeldOut(error, [figures], of_mean, scatter=scatter, weak=self.of == BETWEEN)
        figures |= {"error_decades": decades[0], "error_of_mean_decades": decades[1]}
        return HeldOut(error, [figures], of_mean, *decades, scatter, self.of == BETWEEN)

    def summary(self) -> str:
        """Return the line that ``hwloop calibrate`` prints."""
        seen = self.held_out()
        line = (
            f"held out, {self.of}: {self.reads} reads, error {seen.error:.2%} of the range; the"
            f" mean alone {seen.error_of_mean:.2%}"
        )
        if seen.scatter is not None:
            line += f"; repeats of each other {seen.scatter:.2%}"
        if seen.decades is None:
            return line
        return f"{line}; {seen.decades:.2f} decades, the mean alone {seen.decades_of_mean:.2f}"


def _rms(off: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(off))))


def _at_level(fitted: FloatArray, fitted_level: FloatArray, held_level: FloatArray) -> FloatArray:
    """Return the mean of the fitted values nearest in voltage to each read that was held out."""
    rounded = np.round(_LEVELS * fitted_level)
    known = np.unique(rounded)
    means = np.array([fitted[rounded == one].mean() for one in known])
    places = np.abs(np.round(_LEVELS * held_level)[:, None] - known).argmin(axis=1)
    return np.asarray(means[places])


def half_masks(histories: Sequence[History]) -> tuple[list[BoolArray], str]:
    """Return masks of the reads used in a fit to half of the data, and a description of the rest.

    The masks are (reads, cells) for each history and include the beginning of every cell: its first
    read, of a sweep those below a quarter of the largest voltage. Every second cell of each
    direction is left out, so that neither half has one direction alone; of one cell every second
    pair of trains; of one train or loop every second read.
    """
    read = [np.isfinite(one.current_a) for one in histories]
    begun = [_beginning(mask, of) for mask, of in zip(read, levels(histories), strict=True)]
    # Trains are counted from 1, as nothing was given before the first read.
    pairs = [np.maximum(history.on_every_train() - 1, 0) // 2 for history in histories]
    every: list[tuple[str, list[BoolArray]]] = [
        ("every second cell", _every_second_cell(histories, read)),
        ("every second pair of trains", [np.asarray(pair % 2 == 0) for pair in pairs]),
        (BETWEEN, [np.broadcast_to(np.arange(len(m))[:, None] % 2 == 0, m.shape) for m in read]),
    ]
    masks = [
        ([m & (c | b) for m, c, b in zip(read, chosen, begun, strict=True)], rest)
        for rest, chosen in every
    ]
    left = [any((m & ~k).any() for m, k in zip(read, kept, strict=True)) for kept, _ in masks]
    return masks[left.index(True)] if any(left) else masks[-1]


def _every_second_cell(histories: Sequence[History], read: Sequence[BoolArray]) -> list[BoolArray]:
    seen: dict[tuple[bool, bool], int] = {}
    found = []
    for history, mask in zip(histories, read, strict=True):
        chosen = np.empty(mask.shape, dtype=np.bool_)
        for cell, way in enumerate(_directions(history)):
            chosen[:, cell] = seen.setdefault(way, 0) % 2 == 0
            seen[way] += 1
        found.append(chosen)
    return found


def _directions(history: History) -> Iterator[tuple[bool, bool]]:
    """Yield for each cell whether it saw positive, and negative, pulses."""
    volts = np.array([one.voltage_v for one in history.stimuli if one.selected])
    volts = volts.reshape(-1, len(history.names))
    for own_v in volts.T:
        yield bool((own_v > 0).any()), bool((own_v < 0).any())


def _beginning(mask: BoolArray, level: FloatArray) -> BoolArray:
    """Return the reads that tell where a cell begins, (reads, cells)."""
    large = np.flatnonzero(np.abs(level) >= _BEGINNING)
    last = int(large[0]) if large.size else 0
    first = np.zeros_like(mask)
    first[np.argmax(mask, axis=0), np.arange(mask.shape[1])] = True
    first[: last + 1] |= mask[: last + 1]
    return first


def predicted_reads(
    half: OperationFit, histories: Sequence[History], masks: Sequence[BoolArray], of: str
) -> PredictedReads:
    """Compare the prediction of ``half`` with the reads that its ``masks`` left out.

    ``of``: description of these reads.
    """
    shown_a = half.minimum.problem.shown_a(half.minimum.theta[None])
    found: dict[str, list[FloatArray]] = {}
    repeats = _of_repeats(histories, masks)
    each = zip(histories, masks, shown_a, levels(histories), repeats, strict=True)
    for history, mask, one_a, of_reads, repeat_conductance_s in each:
        volts = np.array([read.read_v for read in history.reads])[:, None]
        left = np.isfinite(history.current_a) & ~mask
        level = np.broadcast_to(of_reads[:, None], mask.shape)
        parts = {
            "predicted_conductance_s": (one_a[0] / volts)[left],
            "held_conductance_s": history.conductance_s[left],
            "fitted_conductance_s": history.conductance_s[mask],
            "held_level": level[left],
            "fitted_level": level[mask],
            "repeat_conductance_s": repeat_conductance_s[left],
        }
        for name, values in parts.items():
            found.setdefault(name, []).append(values)
    return PredictedReads(of, **{name: np.concatenate(one) for name, one in found.items()})


def _of_repeats(histories: Sequence[History], masks: Sequence[BoolArray]) -> list[FloatArray]:
    """Return the mean of fitted cells that saw the same, (reads, cells) of each history.

    NaN where none did.
    """
    fitted: dict[bytes, list[FloatArray]] = {}
    for history, mask in zip(histories, masks, strict=True):
        for cell, key in enumerate(_seen_by(history)):
            if mask[:, cell].sum() == np.isfinite(history.current_a[:, cell]).sum():
                fitted.setdefault(key, []).append(history.conductance_s[:, cell])
    found = []
    for history in histories:
        mean = np.full(history.current_a.shape, np.nan)
        for cell, key in enumerate(_seen_by(history)):
            if key in fitted:
                mean[:, cell] = _nan_mean(np.array(fitted[key]))
        found.append(mean)
    return found


def _seen_by(history: History) -> list[bytes]:
    """Return what each cell saw as a key: voltages to a percent, durations to their decade."""
    volts = np.array([one.voltage_v for one in history.stimuli]).reshape(-1, len(history.names))
    rounded = np.round(volts / (_SAME_VOLTAGE * max(np.abs(volts).max(), np.finfo(float).tiny)))
    decades = np.round(np.log10([one.duration_s for one in history.stimuli]))
    number = np.array([len(history.reads)])
    return [
        np.concatenate([rounded[:, cell] + 0.0, decades, number]).tobytes()  # 0, not -0
        for cell in range(len(history.names))
    ]


def _nan_mean(values: FloatArray) -> FloatArray:
    """Return the mean of the first axis without NaN, NaN where there is nothing else."""
    count = np.isfinite(values).sum(axis=0)
    return np.asarray(np.nansum(values, axis=0) / np.where(count, count, np.nan))
