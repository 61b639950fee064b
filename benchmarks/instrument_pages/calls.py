"""The fixed script of calls: everything that a run, a check and a watchdog ask of a driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from hwloop_drivers.roles import (
    Companion,
    Instrument,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    SwitchMatrix,
    TrainPoint,
    VerifyLoop,
)

Call = tuple[str, Callable[[], object]]
WIDTH_S, SHORT_S, READ_S = 1e-2, 2e-4, 0.1
LEVEL_V, READ_V, LIMIT_A, NPLC = 1.5, 0.1, 1e-3, 0.1
PULSE = TrainPoint(LEVEL_V, WIDTH_S)
READ = TrainPoint(READ_V, READ_S, measure=True)
PAIR = [PULSE, TrainPoint(0.0, WIDTH_S), PULSE]
LONG = [TrainPoint(LEVEL_V * (n % 2), WIDTH_S) for n in range(121)]  # more than one message holds
SHORT_PAIR = [TrainPoint(LEVEL_V, SHORT_S), TrainPoint(0.0, SHORT_S), TrainPoint(LEVEL_V, SHORT_S)]
SETUP = SourceSetup(2.0, LIMIT_A, nplc=NPLC)
LOOP = VerifyLoop(
    start_v=0.5, step_v=0.1, width_s=WIDTH_S, read_v=READ_V, read_s=READ_S, low_a=1e-12, high_a=1.0,
    max_pulses=3,
)  # fmt: skip


def calls(instrument: Instrument, output: str) -> Iterator[Call]:
    """Yield the calls in order, each with a text for the page; one output of several is tried."""
    yield "verify_identity()", instrument.verify_identity
    yield "reset()", instrument.reset
    yield "clear()", instrument.clear
    yield "check_errors()", instrument.check_errors
    if isinstance(instrument, SwitchMatrix):
        raise TypeError("a matrix needs channels")
    source = instrument.outputs()[output]
    if isinstance(source, SourceMeter):
        yield from _source_meter(instrument, source, output)
    else:
        yield from _generator(source)
    yield "read_back()", instrument.read_back
    yield "rest_at_zero()", instrument.rest_at_zero
    yield "source_enabled = False", partial(setattr, source, "source_enabled", False)
    yield "safe_state()", instrument.safe_state


def _source_meter(instrument: Instrument, source: SourceMeter, output: str) -> Iterator[Call]:
    locked = SourceSetup(2.0, LIMIT_A, nplc=NPLC, measure_range_a=LIMIT_A)
    yield "set_up(…), the measurement range locked", partial(source.set_up, locked)
    yield "set_up(…)", partial(source.set_up, SETUP)
    yield "source_enabled = True", partial(setattr, source, "source_enabled", True)
    yield "source_enabled", lambda: source.source_enabled
    yield "source_voltage = 0.1", partial(setattr, source, "source_voltage", READ_V)
    yield "measure_current()", source.measure_current
    yield "tripped", lambda: source.tripped
    yield "compliance_current", lambda: source.compliance_current
    yield "ramp_to_voltage(0.0)", partial(source.ramp_to_voltage, 0.0, steps=2)
    yield "apply_train(…), pulses", partial(source.apply_train, PAIR)
    yield "apply_train(…), 121 levels", partial(source.apply_train, LONG)
    yield "apply_train(…), short pulses", partial(source.apply_train, SHORT_PAIR)
    yield "apply_train(…), a pulse and a read", partial(source.apply_train, [PULSE, READ])
    yield "verify_loop(…)", partial(source.verify_loop, LOOP)
    others = [o for name, o in instrument.outputs().items() if name != output]
    for other in others:
        if isinstance(other, SourceMeter):
            yield "set_up(…) of the other output", partial(other.set_up, SETUP)
            companion = Companion(other, start_v=-0.5, step_v=-0.1)
            loop = replace(LOOP, companions=(companion,), both_polarities=True)
            yield "verify_loop(…), with the other output", partial(source.verify_loop, loop)


def _generator(output: PulseGenerator) -> Iterator[Call]:
    yield "set_up(range_v=2.0)", partial(output.set_up, range_v=2.0)
    yield "source_enabled = True", partial(setattr, output, "source_enabled", True)
    yield "source_voltage = 0.2", partial(setattr, output, "source_voltage", 0.2)
    yield "source_voltage = 0.0", partial(setattr, output, "source_voltage", 0.0)
    pulses = partial(output.apply_pulses, width_s=1e-6, count=5)
    yield "apply_pulses(level_v=1.5, …)", partial(pulses, level_v=LEVEL_V)
    yield "apply_pulses(level_v=-1.5, …)", partial(pulses, level_v=-LEVEL_V)
    yield "apply_pulses(level_v=1.5, …), after negative ones", partial(pulses, level_v=LEVEL_V)


def matrix_calls(matrix: SwitchMatrix, channels: tuple[str, str, str]) -> Iterator[Call]:
    """Yield the calls of a matrix in order, each with a text for the page."""
    first, second, third = channels
    yield "verify_identity()", matrix.verify_identity
    yield "closed, as it was left", lambda: matrix.closed
    yield "reset()", matrix.reset
    yield "clear()", matrix.clear
    yield "check_errors()", matrix.check_errors
    yield "close_channels(…)", partial(matrix.close_channels, [first, second])
    yield "closed", lambda: matrix.closed
    yield "open_channels(…)", partial(matrix.open_channels, [second])
    yield "change(close=…, open_=…)", partial(matrix.change, close=[third], open_=[first])
    yield "read_back()", matrix.read_back
    yield "open_all()", matrix.open_all
    yield "safe_state()", matrix.safe_state
