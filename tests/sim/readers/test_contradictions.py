"""What contradicts itself in a file is refused by every reader, with place and both sides.

Right values: Ohm's law by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.errors import ConfigError

PULSE = {"amplitude_v": "1 V", "width_s": "1 ms"}


def imported(folder: Path, text: str, **given: str) -> list[str]:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    return import_measurement(path, reader=None, given={"source": "lab book", **given}).messages


@pytest.mark.parametrize(
    ("text", "words", "given"),
    [
        (  # 0.1 V over 10 uA are 10 kohm, not 1 Mohm
            "Pulse,Vpulse (V),Width (us),Read voltage (V),Read current (uA),R (kOhm)\n"
            "1,1,9,0.1,10,1000\n2,1,9,0.1,11,1100\n3,1,9,0.1,12,1200\n",
            "from Read voltage",
            {},
        ),
        (  # 5 uS are 200 kohm
            "Time (s),G (uS),R (kOhm)\n0,5,20\n1,5,20\n2,5,20\n",
            "times R .* is 0.1",
            {},
        ),
        (
            "Time (s),Read voltage (V),Current (uA),R (kOhm)\n0,0.1,10,1\n1,0.1,10,1\n2,0.1,9,1\n",
            "from Read voltage",
            {},
        ),
        (
            "Pulse,Gate (V),Voltage (V),Width (us),G (uS)\n0,1.5,1,9,5\n1,,1,9,6\n2,1.5,1,9,7\n",
            "line 3: no value of Gate",
            {},
        ),
        (
            "Pulse,Voltage (V),Width (us),G (uS)\n0,1,9,5\n1,,9,6\n2,1,9,7\n3,1,9,8\n",
            "line 3: no value of Voltage",
            {},
        ),
        (
            "Pulse,Voltage (V),G (uS)\n0,1,5\n1,1,6\n2,,7\n3,1,8\n4,1,9\n",
            "line 4: no value of Voltage",
            {"width_s": "1 ms"},
        ),
        (  # 5 % is no rounding
            "V (V),I (A),R (kOhm)\n1,1e-5,105\n2,2e-5,105\n3,3e-5,105\n",
            "line 2: R .* of 1.05e.05 ohm: expected 1e.05 ohm",
            {},
        ),
        (  # one row of ten
            "V (V),I (A),G (uS)\n"
            + "".join(f"{n},{n}e-5,{10 if n != 7 else 10.5}\n" for n in range(1, 11)),
            "line 8: G .* of 1.05e-05 S: expected 1e-05 S",
            {},
        ),
        ("1 0.5 1.5 1\n2 1.0 3.0 2\n3 1.5 4.5 3\n", "no header", {}),
        (
            "Cycle,LRS (ohm),HRS (ohm)\n1,0.005,0.1\n2,0.006,0.1\n3,0.005,0.2\n",
            "conductances are about 200 S",
            {},
        ),
    ],
)
def test_contradiction_in_a_file_is_refused_with_both_sides(
    text: str, words: str, given: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        imported(tmp_path, text, **given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Time (s),G (uS),R (kOhm)\n0,5,200\n1,5,200\n2,5,200\n", "in 3 rows"),
        (
            "Pulse,Vpulse (V),Width (us),Read voltage (V),Read current (uA),R (kOhm)\n"
            "1,1,9,0.1,10,10\n2,1,9,0.1,20,5\n3,1,9,0.1,25,4\n",
            "agrees with Read voltage",
        ),
        (  # offsets near 0 V, and two digits of a current
            "V (V),I (uA),R (kOhm)\n0.01,0.3,100\n0.5,5.1,99\n1,10,100\n1.5,15,100\n",
            "agrees with V",
        ),
        (  # a read before the pulses has no voltage, and no width
            "Pulse,Voltage (V),Width (us),G (uS)\n0,,,5\n1,1,9,6\n2,1,9,7\n",
            "1 train of 2 pulses",
        ),
    ],
)
def test_columns_that_agree_are_taken_and_the_agreement_is_said(
    text: str, words: str, tmp_path: Path
) -> None:
    assert words in " ".join(imported(tmp_path, text))
