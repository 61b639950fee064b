"""Times of a source-delay-measure cycle: user's manual 2400S-900-01, A-4 to A-8.

What the manual gives as a maximum or "about" is taken as exact. The latency of the trigger is left
out where the source is set anew, since no level is shorter for it.
"""

from __future__ import annotations

SET_SOURCE_S = 50e-6
CONVERSION_S = 185e-6  # beside the integration time
LATENCY_S = {False: 100e-6, True: 500e-6}  # of a reading of a source that stays; with autozero
_FIRMWARE_S = {
    (0, False): 310e-6,  # case IV
    (1, False): 300e-6,  # case III
    (1, True): 1.8e-3,  # case I
    (2, True): 2.3e-3,  # case II
    (2, False): 800e-6,  # not given: case III and the difference of cases I and II
}
_FIRMWARE_I_S = {
    (0, False): 590e-6,
    (1, False): 640e-6,
    (1, True): 2.15e-3,
    (2, True): 2.65e-3,
    (2, False): 1.14e-3,
}


def firmware_s(functions: int, *, autozero: bool, sources_volts: bool) -> float:
    """Return the firmware's part of a cycle that sets the source and measures so many functions."""
    times_s = _FIRMWARE_S if sources_volts else _FIRMWARE_I_S
    return times_s[min(functions, 2), autozero and functions > 0]


def conversions_s(functions: int, *, nplc: float, line_hz: float, autozero: bool) -> float:
    """Return how long the conversions of a reading last: one a function, and two for the zero."""
    count = functions + (2 if autozero and functions else 0)
    return count * (nplc / line_hz + CONVERSION_S)
