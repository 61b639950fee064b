"""Scans of the virtual 3706A and 707B, after the topics *scan* of Keithley's help."""

from __future__ import annotations

import pytest

from hwloop_sim.virtual.instruments.keithley_707b import Keithley707B
from hwloop_sim.virtual.instruments.keithley_3706a import Keithley3706A
from tests.virtual_link import OneBox

KINDS = [
    pytest.param(Keithley707B, ("1A01", "1A02", "1A03"), id="707B"),
    pytest.param(Keithley3706A, ("1101", "1102", "1103"), id="3706A"),
]


def _box(kind: type[Keithley707B] | type[Keithley3706A]) -> OneBox:
    box = OneBox(kind, lines={"row0": "source", "col0": "gnd"}, drive="source")
    box.seen = []  # type: ignore[attr-defined]
    told = box.circuit.set_closed

    def set_closed(matrix: str, channels: frozenset[str]) -> None:
        if channels:
            # To 0.1 s: the channel before opens first, and settles for some milliseconds.
            box.seen.append((round(box.clock.now_s, 1), *sorted(channels)))  # type: ignore[attr-defined]
        told(matrix, channels)

    box.circuit.set_closed = set_closed  # type: ignore[method-assign]
    return box


def _asked(box: OneBox, text: str) -> str:
    return str(box.instrument.receive(text))


@pytest.mark.parametrize(("kind", "names"), KINDS)
def test_scan_closes_one_channel_after_the_other_as_often_as_it_is_told(kind, names) -> None:  # type: ignore[no-untyped-def]
    box = _box(kind)
    box.link.write(f'scan.create("{names[0]}:{names[2]}") scan.scancount = 2')
    assert float(_asked(box, "print(scan.stepcount)")) == 3
    state = _asked(box, "print(scan.execute())").split("\t")
    assert [float(word) for word in state] == [6, 2, 3]  # scan.SUCCESS, scans, steps
    assert [channels for _, *channels in box.seen] == [[n] for n in names] * 2  # type: ignore[attr-defined]
    assert _asked(box, "print(channel.getclose('allslots'))") == names[2]


@pytest.mark.parametrize(("kind", "names"), KINDS)
def test_each_step_waits_for_an_edge_and_tells_when_its_channel_is_ready(kind, names) -> None:  # type: ignore[no-untyped-def]
    """The maker's example NoFunc_Ext_Trig_Scan.tsp, with three edges 0.5 s apart."""
    box = _box(kind)
    box.link.write(
        "scan.trigger.channel.stimulus = digio.trigger[2].EVENT_ID "
        "digio.trigger[2].mode = digio.TRIG_FALLING digio.trigger[1].mode = digio.TRIG_FALLING "
        "digio.trigger[1].stimulus = scan.trigger.EVENT_CHANNEL_READY "
        f'digio.trigger[1].pulsewidth = 0 scan.create("{names[0]}:{names[2]}")'
    )
    port = box.instrument.port
    for n in range(3):
        port.lines[2].pulse(0.5 * (n + 1))
    assert _asked(box, "print(scan.execute())").startswith("6")
    assert [seen[0] for seen in box.seen] == [0.5, 1.0, 1.5]  # type: ignore[attr-defined]
    assert not port.lines[1].level


def test_first_channel_passes_the_stimulus_only_where_the_arm_has_one() -> None:
    """Topic scan.bypass."""
    box = _box(Keithley707B)
    box.link.write(
        "digio.trigger[1].mode = 1 digio.trigger[2].mode = 1 scan.create('1A01:1A02') "
        "scan.trigger.arm.stimulus = 1 scan.trigger.channel.stimulus = 2"
    )
    box.instrument.port.lines[1].pulse(0.2)
    box.instrument.port.lines[2].pulse(0.6)
    box.link.write("scan.execute()")
    assert [seen[0] for seen in box.seen] == [0.2, 0.6]  # type: ignore[attr-defined]


def test_wait_for_what_nothing_makes_is_an_error_and_a_failed_scan() -> None:
    box = _box(Keithley707B)
    box.link.write("scan.create('1A01') scan.trigger.arm.stimulus = 3 scan.execute()")
    assert "deadlock" in _asked(box, "print(errorqueue.next())")
    assert _asked(box, "print(scan.state())").startswith("4")
    assert box.seen == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mode", "left"), [("scan.MODE_OPEN_ALL", "1A02"), ("scan.MODE_OPEN_SELECTIVE", "1A02;1H12")]
)
def test_mode_decides_whether_channels_beside_the_scan_stay_closed(mode: str, left: str) -> None:
    box = _box(Keithley707B)
    box.link.write(f"channel.close('1H12') scan.mode = {mode} scan.create('1A01:1A02')")
    box.link.write("scan.execute()")
    assert _asked(box, "print(channel.getclose('allslots'))") == left


def test_forbidden_channel_is_left_out_of_a_range_and_refused_by_itself() -> None:
    """Topic scan.create()."""
    box = _box(Keithley707B)
    box.link.write("channel.setforbidden('1A02') scan.create('1A01:1A03')")
    assert float(_asked(box, "print(scan.stepcount)")) == 2
    box.link.write("scan.create('1A02')")
    assert "forbidden" in _asked(box, "print(errorqueue.next())")
    assert float(_asked(box, "print(scan.stepcount)")) == 0


def test_pattern_is_one_step_and_a_reset_leaves_no_scan() -> None:
    box = _box(Keithley707B)
    box.link.write("channel.pattern.setimage('1A01,1B02', 'both') scan.create('both,1A03')")
    box.link.write("scan.execute()")
    assert [channels for _, *channels in box.seen] == [["1A01", "1B02"], ["1A03"]]  # type: ignore[attr-defined]
    box.link.write("reset()")
    assert float(_asked(box, "print(scan.stepcount)")) == 0
    box.link.write("scan.execute()")
    assert "empty" in _asked(box, "print(errorqueue.next())")
