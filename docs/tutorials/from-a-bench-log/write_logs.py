"""Write the trains of a recorded cell as a pulse bench would have logged them, one log per train.

Run it:  python write_logs.py RECORD FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwloop.record.reader import Record

READ_V = 0.05
HEADER = """\
Number of Pulses: {pulses}
Initial Voltage Duration (ms): 50
Initial Voltage (V):{initial:.6E}
Read Voltage (V):{read:.6E}
ON Voltage (V):{volts:.6E}
tON (ms):50
OFF Voltage (V):0.000000E+0
tOFF (ms):100
tWait (ms):100
Temperature (K): 300.000000E+0
Time stamp (s), Voltage (V), Current (A), Voltage (V), Current (A),Resistance (Ohm)
"""


def rows(conductance_s: Sequence[float], volts: float, initial: float) -> Iterator[str]:
    """Yield pulse, OFF and read row of each state; the first is that of the initial pulse."""
    for number, value_conductance_s in enumerate(conductance_s):
        time_s, pulse_v = 1.0 + 3.2 * number, volts if number else initial
        pulse_a, read_a = (
            float(f"{pulse_v * value_conductance_s:.6E}"),
            float(f"{READ_V * value_conductance_s:.6E}"),
        )
        yield f"{time_s:.4f},{pulse_v:.6E},{pulse_a:.6E},,,{pulse_v / pulse_a:.6E}"
        yield f"{time_s + 0.1:.4f},{0:.6E},{0:.6E},,,{0:.6E}"
        pair = f"{READ_V:.6E},{read_a:.6E},{-READ_V:.6E},{-read_a:.6E}"
        yield f"{time_s + 2.7:.4f},{pair},{READ_V / read_a:.6E}"


def main(record: Path, folder: Path) -> None:
    """Write one log for each train: up_1.dat, down_1.dat, up_2.dat, …"""
    folder.mkdir(parents=True, exist_ok=True)
    with Record(record) as opened:
        seen = opened.results("pulse_response")
    amplitude_v = {way: seen["amplitude_v"][seen["direction"] == way][-1] for way in (1, -1)}
    for cycle in sorted(set(seen["cycle"])):
        for way, name in ((1, "up"), (-1, "down")):
            train_conductance_s = seen["conductance_s"][
                (seen["cycle"] == cycle) & (seen["direction"] == way)
            ]
            header = HEADER.format(
                pulses=len(train_conductance_s) - 1,
                initial=amplitude_v[-way],
                read=READ_V,
                volts=amplitude_v[way],
            )
            lines = rows(train_conductance_s.ravel().tolist(), amplitude_v[way], amplitude_v[-way])
            log = folder / f"{name}_{cycle}.dat"
            log.write_text(header + "".join(f"{line}\n" for line in lines), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
