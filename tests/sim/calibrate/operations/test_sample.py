"""A first look takes a part of the data that shows what the whole does."""

from __future__ import annotations

import numpy as np

from hwloop_sim.calibrate.operations.history import History, Read, Stimulus
from hwloop_sim.calibrate.operations.sample import sampled

PULSES = 20


def history(cells: int, amplitudes_v: tuple[float, ...]) -> History:
    """A pair of trains at each amplitude, read after every pulse; the currents count the reads."""
    number, events = 0.0, list[Stimulus | Read]()
    for amplitude_v in (0.0, *amplitudes_v):
        for volts in (amplitude_v, -amplitude_v) if amplitude_v else ():
            for _ in range(PULSES):
                number += 1
                events.append(Stimulus(np.full(cells, volts), 1e-3))
                events.append(Read(0.1, True, number + 1e-3 * np.arange(cells)))
        if not amplitude_v:
            events.append(Read(0.1, True, number + 1e-3 * np.arange(cells)))
    return History("a.h5", [f"cell {n}" for n in range(cells)], events)


def test_a_small_set_is_taken_as_it_is() -> None:
    whole = history(2, (0.5, 1.0))
    assert sampled([whole], most_reads=1000) == [whole]


def test_few_cells_and_pairs_of_trains_are_taken_evenly_over_all() -> None:
    whole = history(12, (0.5, 0.7, 0.9, 1.1, 0.5, 0.7, 0.9))
    found = sampled([whole], most_reads=320)
    assert [one.names for one in found] == [["cell 0", "cell 11"]] * 4
    assert sum(int(np.isfinite(one.current_a).sum()) for one in found) <= 1.1 * 320
    # Each amplitude once, of three that were given twice.
    given = sorted(float(np.abs(s.voltage_v).max()) for one in found for s in one.stimuli[:1])
    assert given == [0.5, 0.7, 0.9, 1.1]
    for one in found:
        assert isinstance(one.events[0], Read)
        # The read before the first pulse of the pair, in the middle of the record too.
        signs = [np.sign(stimulus.voltage_v[0]) for stimulus in one.stimuli]
        assert signs == [1.0] * PULSES + [-1.0] * PULSES
        assert len(one.reads) == 2 * PULSES + 1
