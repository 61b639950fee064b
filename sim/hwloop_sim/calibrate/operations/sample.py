"""A part of the measured data, for a first look at many device models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop_sim.calibrate.operations.history import LEAST_READS, History, Read

QUICK_READS = 600
"""Reads that rank device models."""
_FEW_CELLS = 2
_MOST_PULSES = 12


def sampled(histories: Sequence[History], most_reads: int = QUICK_READS) -> list[History]:
    """Return histories of about ``most_reads`` reads: evenly chosen cells, then pairs of trains.

    A pair of trains becomes a history of its own, from the last read before it. The histories
    themselves if they have no more reads.
    """
    total = sum(_reads(one) for one in histories)
    if total <= most_reads:
        return list(histories)
    found: list[History] = []
    for history in histories:
        own = max(int(most_reads * _reads(history) / total), _FEW_CELLS * LEAST_READS)
        found += _windows(_cells(history, own), own)
    return found


def _reads(history: History) -> int:
    return int(np.isfinite(history.current_a).sum())


def _cells(history: History, most_reads: int) -> History:
    """Return a history of cells chosen evenly, as many as have the reads, but two or more."""
    count = len(history.names)
    kept = max(most_reads * count // _reads(history), _FEW_CELLS)
    if kept >= count:
        return history
    return history.of_cells(np.linspace(0, count - 1, kept).astype(int).tolist())


def _windows(history: History, most_reads: int) -> list[History]:
    """Return pairs of trains, each as a history that begins with a read.

    One of each set of amplitudes and widths first, then others evenly over the record.
    """
    # Trains are counted from 1, as nothing was given before the first read.
    trains = history.on_every_train().max(axis=1)
    pairs = np.maximum(trains - 1, 0) // 2
    places = [i for i, event in enumerate(history.events) if isinstance(event, Read)]
    windows: dict[int, History] = {}
    for pair in range(int(pairs.max()) + 1):
        own = np.flatnonzero(pairs == pair)
        if own.size >= LEAST_READS:
            first = places[max(int(own[0]) - 1, 0)]
            events = history.events[first : places[int(own[-1])] + 1]
            windows[pair] = History(history.where, history.names, events)
    kept = most_reads * len(windows) // _reads(history)
    if kept >= len(windows) or not windows:
        return [history]
    by_pulses: dict[object, int] = {}
    for pair, window in windows.items():
        by_pulses.setdefault(_pulses(window), pair)
    chosen = list(by_pulses.values())[:_MOST_PULSES]
    even = np.array(list(windows))[np.linspace(0, len(windows) - 1, max(kept, 1)).astype(int)]
    chosen += [pair for pair in even.tolist() if pair not in chosen]
    return [windows[pair] for pair in sorted(chosen[: max(kept, len(by_pulses), 1)])]


def _pulses(history: History) -> frozenset[tuple[float, float]]:
    """Return amplitudes and widths on addressed cells."""
    return frozenset(
        (float(volts), one.width_s)
        for one in history.stimuli
        if one.selected
        for volts in np.unique(one.voltage_v[one.voltage_v != 0])
    )
