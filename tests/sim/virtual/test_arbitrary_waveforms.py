"""Arbitrary waveforms of the virtual 33500B and 33600A, after their operating and service guide."""

from __future__ import annotations

import pytest

from hwloop_sim.virtual.instruments.keysight_33500b.box import Keysight33500B
from tests.virtual_link import OneBox

STEPS = (0, 0.25, 0.5, 1, 0.5, 0.25, 0, -1)


def _box(model: str = "33622A") -> OneBox:
    drive = "box.1" if model == "33622A" else "box"
    return OneBox(Keysight33500B, conductance_s=1e-9, drive=drive, settings={"model": model})


def _loaded(box: OneBox, header: str, full: int) -> None:
    samples = ",".join(f"{full * step:g}" for step in STEPS)
    box.link.write(f":OUTP1:LOAD INF;:SOUR1:{header} STEPS,{samples};:SOUR1:FUNC:ARB STEPS")
    box.link.write(":SOUR1:FUNC:ARB:SRAT 1000;:SOUR1:FUNC ARB;:SOUR1:VOLT:HIGH 2;LOW -2")
    box.link.write(":SOUR1:BURS:MODE TRIG;NCYC 2;STAT 1;:TRIG1:SOUR BUS;:OUTP1 1")
    assert box.link.query(":SYST:ERR?").startswith("+0")


@pytest.mark.parametrize(("header", "full"), [("DATA:ARB", 1), ("DATA:ARB:DAC", 32764)])
def test_a_triggered_burst_plays_each_sample_for_its_time_between_low_and_high(
    header: str, full: int
) -> None:
    # 32764 of 32767: 1e-4 below full scale, whose quarters are whole codes.
    box = _box()
    _loaded(box, header, full)
    before, begun_s = len(box.circuit.changes), box.clock.now_s
    assert box.link.query("*TRG;*OPC?") == "1"
    assert box.clock.now_s - begun_s == pytest.approx(2 * len(STEPS) / 1000)
    volts = [change.outputs_v["box.1"] for change in list(box.circuit.changes)[before:]]
    distinct = [v for n, v in enumerate(volts) if n == 0 or v != volts[n - 1]]
    # Two cycles; it rests at the first sample, 0 V, before and after them.
    assert distinct == pytest.approx([0.5, 1, 2, 1, 0.5, 0, -2, 0] * 2, rel=1e-4)


def test_waveforms_are_listed_counted_and_cleared_by_name() -> None:
    box = _box()
    samples = ",".join(str(round(32767 * step)) for step in STEPS)
    box.link.write(f":SOUR1:DATA:ARB:DAC CODES,{samples};:SOUR1:FUNC:ARB CODES")
    assert box.link.query(":SOUR1:FUNC:ARB?;:SOUR1:DATA:ATTR:POIN?") == '"CODES";8'
    assert box.link.query(":SOUR1:DATA:VOL:CAT?").endswith('"CODES"')
    box.link.write(":SOUR1:DATA:VOL:CLE")
    assert "CODES" not in box.link.query(":SOUR1:DATA:VOL:CAT?")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (":SOUR1:FUNC:ARB NONE", "+786"),
        (":SOUR1:DATA:ARB SHORT,0,1", "-222"),
        (":SOUR1:DATA:ARB HIGH,0,0,0,0,0,0,0,1.1", "-222"),
        (":SOUR1:FUNC:ARB:SRAT 251E6", "-222"),
    ],
)
def test_what_is_no_waveform_of_the_instrument_is_an_error(message: str, error: str) -> None:
    box = _box()
    box.link.write(message)
    assert box.link.query(":SYST:ERR?").startswith(error)


def test_output_trigger_is_a_switch_with_slope_and_source() -> None:
    box = _box()
    box.link.write(":OUTP:TRIG 1;:OUTP:TRIG:SLOP NEG;:OUTP:TRIG:SOUR CH2")
    assert box.link.query(":OUTP:TRIG?;:OUTP:TRIG:SLOP?;:OUTP:TRIG:SOUR?") == "1;NEG;CH2"


@pytest.mark.parametrize(
    ("model", "most_hz"),
    [("33511B", 20e6), ("33522A", 30e6), ("33521B", 30e6), ("33611A", 80e6), ("33622A", 120e6)],
)
def test_frequency_is_bounded_by_the_model(model: str, most_hz: float) -> None:
    box = OneBox(Keysight33500B, settings={"model": model})
    box.link.write(f":SOUR1:FREQ {most_hz:g}")
    assert box.link.query(":SYST:ERR?").startswith("+0")
    box.link.write(f":SOUR1:FREQ {1.01 * most_hz:g}")
    assert box.link.query(":SYST:ERR?").startswith("-222")
