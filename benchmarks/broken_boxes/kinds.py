"""Every kind of fault that the acceptance test is tried with, for a station with two outputs."""

from __future__ import annotations

from benchmarks.broken_boxes import messages, meters, outputs, relays
from benchmarks.broken_boxes.fault import BrokenBox
from hwloop.station.parts import instrument_of
from hwloop.station.station import Station
from hwloop_sim.virtual.bench.bench import VirtualBench

OVERHEAD_S, DELAY_S = 0.36e-3, 0.5  # 2400 user's manual A-7: 0.36 ms more than was asked
GENERATORS = {"keysight_33500b", "keysight_81160a"}
PULSES, READS = ("pulses",), ("resistors",)


def kinds(station: Station) -> list[BrokenBox]:
    """Return the faults of a station whose columns have a meter of their own."""
    rows, columns = station.wiring.drive.rows, station.wiring.drive.columns or ""
    generator = station.instruments[instrument_of(rows)].kind in GENERATORS
    metered = [*_limits(rows, columns), *_off(rows, columns)]
    return [
        *_levels(rows, columns),
        *_widths(rows, generator=generator),
        *(broken for broken in metered if not generator or rows not in broken.named[0]),
        *(_off_generator(rows) if generator else []),
        *_readings(columns),
        *_relays(station, rows, columns),
        *_answers(station, rows),
    ]


def _levels(rows: str, columns: str) -> list[BrokenBox]:
    row, col = (f"{rows} on row0",), (f"{columns} on col0",)
    return [
        BrokenBox("rows 5 % high", outputs.gain(rows, 1.05), row, PULSES),
        BrokenBox("rows 5 % low", outputs.gain(rows, 0.95), row, PULSES),
        BrokenBox(
            "columns 5 % low while a cell is pulsed", outputs.gain(columns, 0.95), col, PULSES
        ),
        BrokenBox("rows of the wrong polarity", outputs.gain(rows, -1.0), (rows,), PULSES),
        BrokenBox("columns of the wrong polarity", outputs.gain(columns, -1.0), col, PULSES),
        BrokenBox("rows rest at 20 mV", outputs.offset(rows, 20e-3), ("row0", rows), PULSES),
        BrokenBox("columns rest at 20 mV", outputs.offset(columns, 20e-3), ("col0",), PULSES),
    ]


def _widths(rows: str, *, generator: bool) -> list[BrokenBox]:
    row = (f"{rows} on row0",)

    def last(duration_s: float, *, rise: bool = False) -> outputs.Break:
        def wait(bench: VirtualBench) -> None:
            bench.clock.advance(duration_s)

        if rise:
            return outputs.edges(rows, before_rise=wait)
        return outputs.edges(rows, before_fall=wait)

    cut = outputs.edges(rows, cut_after_s=8e-3)
    late = last(DELAY_S, rise=True)
    measured = f"{instrument_of(rows)} at "  # a train that the box times is stopped by its driver
    if generator:
        late = messages.triggers_late(instrument_of(rows), DELAY_S)
    return [
        BrokenBox("pulses 0.36 ms too long", last(OVERHEAD_S), row, PULSES),
        BrokenBox("pulses end after 8 ms", cut, row, PULSES),
        BrokenBox("pulses 0.5 s after their trigger", late, (rows, measured), PULSES),
        BrokenBox("every third pulse missing", outputs.edges(rows, missing=3), row, PULSES),
        BrokenBox(
            "one pulse too many", outputs.edges(rows, after_fall=outputs.second_pulse), row, PULSES
        ),
    ]


def _limits(rows: str, columns: str) -> list[BrokenBox]:
    row, col = (f"{rows} on row",), (f"{columns} on col",)
    limit, pulses = ("compliance",), ("pulses",)
    silent = outputs.clamped_by_range(columns, flagged=False)
    said = outputs.clamped_by_range(columns, flagged=True)
    own = outputs.clamped_by_range(rows, flagged=False)
    never, always = (lambda _: False), (lambda _: True)
    return [
        BrokenBox(
            "columns clamped at 105 % of the range of the last read", silent, (columns,), pulses
        ),
        BrokenBox("the same, with its flag", said, (columns,), pulses),
        BrokenBox("rows clamped at 105 % of the range of the last read", own, (rows,), pulses),
        BrokenBox("rows have no limit", outputs.limit_times(rows, 1e9), row, limit),
        BrokenBox("columns have no limit", outputs.limit_times(columns, 1e9), col, limit),
        BrokenBox("limit of the rows 20 % high", outputs.limit_times(rows, 1.2), row, limit),
        BrokenBox("limit of the rows 20 % low", outputs.limit_times(rows, 0.8), row, limit),
        BrokenBox(
            "limit of the columns raised tenfold", outputs.limit_times(columns, 10.0), col, limit
        ),
        BrokenBox("rows never report their limit", meters.status(rows, never), row, limit),
        BrokenBox("columns never report their limit", meters.status(columns, never), col, limit),
        BrokenBox("rows always report a limit", meters.status(rows, always), row, limit),
        BrokenBox(
            "columns always report a limit",
            meters.status(columns, always),
            (columns, "cell"),
            limit,
        ),
        BrokenBox(
            "status of the rows inverted", meters.status(rows, lambda on: not on), row, limit
        ),
    ]


def _off(rows: str, columns: str) -> list[BrokenBox]:
    off = ("off states",)
    row, col = (f"{rows} on row",), (f"{columns} on col",)
    return [
        BrokenBox("output relay of the rows stuck closed", outputs.stays_on(rows), row, off),
        BrokenBox("output relay of the columns stuck closed", outputs.stays_on(columns), col, off),
        BrokenBox(
            "output relay of the rows stuck open", outputs.never_on(rows), (rows, "row0"), READS
        ),
        BrokenBox("rows open when they are off", outputs.off_as(rows, None), row, off),
        BrokenBox("columns open when they are off", outputs.off_as(columns, None), col, off),
        BrokenBox("rows at 0.1 V when they are off", outputs.off_as(rows, 0.1), row, off),
    ]


def _off_generator(rows: str) -> list[BrokenBox]:
    row, off = (f"{rows} on row",), ("off states",)
    held = outputs.off_as(rows, 0.0)
    return [
        BrokenBox("output relay of the rows stuck closed", outputs.stays_on(rows), row, off),
        BrokenBox("rows hold 0 V when they are off", held, row, off),
    ]


def _readings(columns: str) -> list[BrokenBox]:
    meter, settling = (f"{columns} ",), ("settling",)
    return [
        BrokenBox("readings 5 % high", meters.gain(columns, 1.05), meter, READS),
        BrokenBox("readings 1 uA high", meters.offset(columns, 1e-6), meter, READS),
        BrokenBox("readings of the wrong sign", meters.gain(columns, -1.0), meter, READS),
        BrokenBox("readings end at 10 uA", meters.clipped(columns, 10e-6), meter, READS),
        BrokenBox("readings of the level before", meters.behind(columns), meter, READS),
        BrokenBox("readings settle in 0.4 s", meters.slow(columns, 0.4), meter, settling),
    ]


def _relays(station: Station, rows: str, columns: str) -> list[BrokenBox]:
    lines, order = ("lines",), ("relays",)
    matrix = station.matrices[0]
    found = []
    for line, output in (("row2", rows), ("col1", columns)):
        for end in (output, "gnd"):
            for closed in (False, True):
                words = f"relay from {line} to {end} stuck {'closed' if closed else 'open'}"
                found.append(
                    BrokenBox(words, relays.stuck(line, end, closed=closed), (line,), lines)
                )
    swapped = relays.exchanged(("row0", rows), ("row1", rows))
    both = relays.together(("row0", rows), ("row1", rows))
    return [
        *found,
        BrokenBox("relays of row0 and row1 exchanged", swapped, ("row0", "row1"), lines),
        BrokenBox("the relay of row1 closes with that of row0", both, ("row0", "row1"), READS),
        BrokenBox(
            "relay of row1 closes 0.3 s late", relays.late("row1", rows, 0.3), ("row1",), READS
        ),
        BrokenBox("relays break before they make", relays.breaks_first, (matrix,), order),
        BrokenBox("lead of row1 broken", relays.lead_broken("row1"), ("row1",), lines),
        BrokenBox(
            "leads of col0 and col2 exchanged",
            relays.leads_exchanged("col0", "col2"),
            ("col0", "col2"),
            lines,
        ),
        BrokenBox("2 kohm in the lead of the rows", relays.in_the_lead(rows, 2e3), (rows,), READS),
    ]


def _answers(station: Station, rows: str) -> list[BrokenBox]:
    source, matrix = instrument_of(rows), station.matrices[0]
    return [
        BrokenBox(
            "rows answer a question late", messages.answers_late(source), (source,), ("time-outs",)
        ),
        BrokenBox(
            "the matrix answers nothing any more",
            messages.silent_after(matrix, 40),
            (matrix,),
            READS,
        ),
        BrokenBox(
            "nothing watches over a run", lambda _: None, (source,), ("watchdog",), unwatched=True
        ),
    ]
